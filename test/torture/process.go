package torture

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// child is a running program that dies with this process at the latest.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and its output is read
}

// startChild runs a program; line is called for each line of its standard error.
func startChild(path string, args, env []string, line func(string)) (*child, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	c := &child{cmd: exec.Command(path, args...), done: make(chan struct{})}
	c.cmd.Env, c.cmd.Stderr = env, write
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		// The death signal follows the thread that made the child (prctl(2)).
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		_ = write.Close()
		started <- err
		if err != nil {
			_ = read.Close()
			return
		}
		scanLines(read, line) // ends with the child, the only writer
		_ = c.cmd.Wait()      // the status is in cmd.ProcessState
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return c, nil
}

func scanLines(r io.ReadCloser, line func(string)) {
	defer func() { _ = r.Close() }()
	const longest = 1 << 20
	s := bufio.NewScanner(r)
	s.Buffer(nil, longest)
	for s.Scan() {
		line(s.Text())
	}
	_, _ = io.Copy(io.Discard, r) // a longer line ends the scanner: the child must not block
}

func (c *child) signal(s syscall.Signal) { _ = c.cmd.Process.Signal(s) } // fails only if the child has ended

func (c *child) exited() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// waitDone waits for the end for at most d.
func (c *child) waitDone(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.done:
		return true
	case <-timer.C:
		return false
	}
}

// end asks the child to stop in order and reports whether it did within limit. An armed child may
// stand still several times before it ends, and is continued each time.
func (c *child) end(limit time.Duration) bool {
	c.signal(syscall.SIGTERM)
	const nudge = 100 * time.Millisecond
	for range limit / nudge {
		c.signal(syscall.SIGCONT)
		if c.waitDone(nudge) {
			return true
		}
	}
	return false
}
