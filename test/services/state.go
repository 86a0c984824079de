package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// state is .services/state.json.
type state struct {
	Processes []stateProcess `json:"processes"`
	// Empty until all servers have answered.
	Kafka    string `json:"kafka"`    // host:port
	Redis    string `json:"redis"`    // host:port
	Postgres string `json:"postgres"` // URL
}

type stateProcess struct {
	Name string `json:"name"`
	procID
}

func (s *stack) statePath() string { return filepath.Join(s.dir, "state.json") }

// readState returns nil if there is no state.
func (s *stack) readState() (*state, error) {
	raw, err := os.ReadFile(s.statePath())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	st := &state{}
	if err == nil {
		err = json.Unmarshal(raw, st)
	}
	if err != nil {
		return nil, fmt.Errorf("read state of the services: %w (end the servers by hand, then remove %s)", err, s.dir)
	}
	return st, nil
}

func (s *stack) writeState(st *state) error {
	raw, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	return writeFileAtomic(s.statePath(), append(raw, '\n'))
}

func (st *state) env() string {
	return fmt.Sprintf("export %s=%s\nexport %s=%s\nexport %s='%s'\n",
		envKafka, st.Kafka, envRedis, st.Redis, envPostgres, st.Postgres)
}

func (st *state) pid(name string) int {
	for _, p := range st.Processes {
		if p.Name == name {
			return p.PID
		}
	}
	return 0
}

// end asks the process to stop, waits, and kills it if that takes too long. It does
// nothing if the process has ended, even if another process has its pid now.
func (p stateProcess) end(ctx context.Context, sig syscall.Signal) error {
	// FindProcess holds the process by a pidfd, so that the process that is
	// checked is the process that is signalled.
	handle, err := os.FindProcess(p.PID)
	if err != nil {
		return fmt.Errorf("find %s: %w", p.Name, err)
	}
	defer func() { _ = handle.Release() }()
	for _, step := range []struct {
		signals []syscall.Signal
		wait    time.Duration
	}{
		{[]syscall.Signal{sig, syscall.SIGCONT}, stopTimeout}, // a paused process reacts to SIGKILL only
		{[]syscall.Signal{syscall.SIGKILL}, killTimeout},
	} {
		if !p.alive() {
			return nil
		}
		for _, sig := range step.signals {
			if err := handle.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return fmt.Errorf("send %v to %s (pid %d): %w", sig, p.Name, p.PID, err)
			}
		}
		waitCtx, cancel := context.WithTimeout(ctx, step.wait)
		err = poll(waitCtx, func(context.Context) error {
			if p.alive() {
				return fmt.Errorf("stop %s: pid %d still runs", p.Name, p.PID)
			}
			return nil
		})
		cancel()
	}
	return err
}
