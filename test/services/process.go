package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// command is a program to run, and how its process relates to this one.
type command struct {
	name    string // for messages: "kafka", "redis", "postgres"
	path    string
	args    []string
	dir     string
	env     []string // nil: this process's
	logPath string   // standard output and error are appended here

	credential *syscall.Credential // nil: run as this process's user
	// deathSignal is sent to the child when this process ends. It is ignored
	// if detached.
	deathSignal syscall.Signal
	detached    bool
	onStart     func(procID) error // may be nil; called before readiness is known
}

// process is a running child. Its methods are safe for concurrent use.
type process struct {
	command
	id  procID
	cmd *exec.Cmd
	// logStart is the size of the log before this start: older lines are about earlier
	// processes.
	logStart int64
	done     chan struct{} // closed when the child has ended and is reaped
}

// start runs the command. The child is bound to no context: it lives until it
// is stopped, or, unless detached, until this process ends.
func (c command) start() (*process, error) {
	logFile, err := os.OpenFile(c.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", c.name, err)
	}
	defer logFile.Close() // the child has its own descriptor

	cmd := exec.Command(c.path, c.args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.dir, c.env, logFile, logFile
	// A group of its own keeps the terminal's Ctrl-C from the child; a session
	// of its own also keeps the hang-up from it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.credential, Setpgid: !c.detached, Setsid: c.detached}
	if !c.detached {
		cmd.SysProcAttr.Pdeathsig = c.deathSignal
	}
	p := &process{command: c, cmd: cmd, done: make(chan struct{})}
	if p.logStart, err = logFile.Seek(0, io.SeekEnd); err != nil {
		return nil, fmt.Errorf("measure log of %s: %w", c.name, err)
	}
	if err := p.startAndWait(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	if c.onStart != nil {
		if err := c.onStart(p.id); err != nil {
			return nil, errors.Join(fmt.Errorf("record %s: %w", c.name, err), p.end(syscall.SIGKILL))
		}
	}
	return p, nil
}

// startAndWait starts the child and the goroutine that reaps it. The kernel
// sends the parent-death signal when the thread that made the child ends, not
// the process (prctl(2), PR_SET_PDEATHSIG), so the goroutine that starts it
// holds its thread for as long as the child lives.
func (p *process) startAndWait() error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := p.cmd.Start(); err != nil {
			started <- err
			return
		}
		// Before Wait: until it is reaped, even an ended child can be identified.
		id, err := identify(p.cmd.Process.Pid)
		p.id = id
		if err != nil {
			err = errors.Join(err, p.cmd.Process.Kill())
		}
		started <- err
		_ = p.cmd.Wait() // the exit status is in cmd.ProcessState
		close(p.done)
	}()
	return <-started
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// waitReady polls probe until it succeeds, and fails at once if the process ends. The
// error carries the end of the log.
func (p *process) waitReady(ctx context.Context, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, StartTimeout, fmt.Errorf("not ready within %v", StartTimeout))
	defer cancel()
	err := poll(ctx, func(ctx context.Context) error {
		if p.exited() {
			return fmt.Errorf("process ended (%v): %w", p.cmd.ProcessState, errFatal)
		}
		return probe(ctx)
	})
	if err != nil {
		return p.withLog(fmt.Errorf("wait for %s: %w", p.name, err))
	}
	return nil
}

// withLog adds the end of the process's log to an error.
func (p *process) withLog(err error) error {
	const lines = 25
	tail := tailFile(p.logPath, p.logStart, lines)
	if strings.Contains(tail, "Address already in use") { // the text of Java, Redis and PostgreSQL
		err = errors.Join(err, errPortTaken)
	}
	return fmt.Errorf("%w\n--- end of %s ---\n%s", err, p.logPath, tail)
}

// pause stops the process (SIGSTOP) and returns when it stands still.
func (p *process) pause() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	return poll(ctx, func(context.Context) error {
		stat, err := readProcStat(p.id.PID)
		if err == nil && stat.state != 'T' {
			err = fmt.Errorf("pause %s: process is in state %c", p.name, stat.state)
		}
		return err
	})
}

func (p *process) resume() error { return p.signal(syscall.SIGCONT) }

// end sends the signal, waits for the end, and kills the process if that takes too
// long. Ending a process that has already ended is not an error.
func (p *process) end(sig syscall.Signal) error {
	for _, s := range []syscall.Signal{sig, syscall.SIGCONT} { // a paused process reacts to SIGKILL only
		if err := p.signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
	}
	if p.waitDone(stopTimeout) {
		return nil
	}
	if err := p.signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if !p.waitDone(killTimeout) {
		return fmt.Errorf("kill %s (pid %d): still there after %v", p.name, p.id.PID, killTimeout)
	}
	return nil
}

func (p *process) signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("send %v to %s (pid %d): %w", sig, p.name, p.id.PID, err)
	}
	return nil
}

func (p *process) waitDone(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}

// tailFile returns the last lines of a file after an offset, or why it cannot be read:
// it is only used in error messages.
func tailFile(path string, from int64, lines int) string {
	const maxBytes = 16 << 10
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		from = max(from, info.Size()-maxBytes)
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return err.Error()
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxBytes))
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
