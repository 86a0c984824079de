package services

import (
	"context"
	"errors"
	"sync"
	"syscall"
)

// server is what the servers of every kind have in common: a command that can
// be run again and again. Its methods are safe for concurrent use.
type server struct {
	cmd        command
	stopSignal syscall.Signal // asks for an orderly end
	killSignal syscall.Signal // ends it at once
	// probe asks the process for a real answer; an error means: not yet.
	probe func(ctx context.Context, pid int) error

	mu   sync.Mutex
	proc *process // nil before the first launch
}

// LogPath returns the file that the server logs to.
func (s *server) LogPath() string { return s.cmd.logPath }

// Pause stops the process where it stands (SIGSTOP): connections stay open,
// and nothing answers.
func (s *server) Pause() error { return s.current().pause() }

// Resume ends a Pause.
func (s *server) Resume() error { return s.current().resume() }

// Kill ends the server without an orderly stop. Its data stay. Killing a server that
// does not run is not an error.
func (s *server) Kill() error { return s.end(s.killSignal) }

// Stop shuts the server down in order, and kills it if that takes too long.
// Its data stay. Stopping a server that does not run is not an error.
func (s *server) Stop() error { return s.end(s.stopSignal) }

// Restart starts the server again with the same data and address, after
// stopping it if it still runs, and returns when it answers.
func (s *server) Restart(ctx context.Context) error {
	if err := s.Launch(); err != nil {
		return err
	}
	return s.waitReady(ctx)
}

// Launch starts the process, after stopping it if it still runs, and does not
// wait for readiness.
func (s *server) Launch() error {
	if err := s.Stop(); err != nil {
		return err
	}
	p, err := s.cmd.start()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc = p
	return nil
}

// waitReady waits for the launched process to answer, and kills it if it does
// not.
func (s *server) waitReady(ctx context.Context) error {
	p := s.current()
	err := p.waitReady(ctx, func(ctx context.Context) error { return s.probe(ctx, p.id.PID) })
	if err != nil {
		return errors.Join(err, p.end(syscall.SIGKILL))
	}
	return nil
}

func (s *server) end(sig syscall.Signal) error {
	if p := s.current(); p != nil {
		return p.end(sig)
	}
	return nil
}

func (s *server) current() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}
