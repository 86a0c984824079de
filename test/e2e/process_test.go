//go:build integration

package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a program under test.
type process struct {
	cmd      *exec.Cmd
	out, log lines // standard output, standard error
	done     chan struct{}
}

// launch starts a program that dies with this process at the latest.
func launch(t *testing.T, dir, path string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		// The death signal follows the thread that made the child (prctl(2)).
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // the status is in cmd.ProcessState
			close(p.done)
		}
	}()
	require.NoError(t, <-started)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		recordShown(fmt.Sprintf("the output of %s %v in %s", filepath.Base(path), args, t.Name()), p.out.String()+p.log.String())
		if t.Failed() {
			t.Logf("end of the log of %s %s:\n%s", path, strings.Join(args, " "), tail(p.log.String(), 30))
		}
	})
	return p
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(s))
}

// waitExit waits for the end and returns the status.
func (p *process) waitExit(t *testing.T, limit time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		require.FailNow(t, "process still runs", "after %v:\n%s", limit, tail(p.log.String(), 20))
	}
	return p.cmd.ProcessState.ExitCode()
}

// requireCleanLog fails if the log has a line that a healthy gateway never writes.
func (p *process) requireCleanLog(t *testing.T) {
	t.Helper()
	text := p.log.String()
	for _, bad := range []string{"DATA RACE", "panic", "fatal error:", "goroutine 1 ["} {
		if at := strings.Index(text, bad); at >= 0 {
			require.FailNow(t, "the log has "+bad, text[at:min(len(text), at+4000)])
		}
	}
}

func tail(text string, n int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

// logged returns nil if a line of the log has all of these texts; its error is for
// eventually.
func (p *process) logged(parts ...string) error {
	for line := range strings.Lines(p.log.String()) {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			return nil
		}
	}
	return fmt.Errorf("no log line with %q", parts)
}

var errExited = errors.New("the process has ended")
