// Package timer sleeps to some microseconds. Go's own timers, when nothing else is
// going on, are only good to a millisecond, more than a whole request takes; a
// blocking sleep would need a second thread, and waking it costs several times
// the CPU of the request. A timerfd wakes the poller that waits for the
// connections anyway. Linux only.
package timer

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Timer is for one goroutine.
type Timer struct {
	fd   int
	file *os.File
}

// New returns a timer, which the caller closes.
func New() (*Timer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create timer: %w", err)
	}
	return &Timer{fd: fd, file: os.NewFile(uintptr(fd), "timerfd")}, nil
}

// SleepUntil returns at once if the time has passed.
func (t *Timer) SleepUntil(at time.Time) error {
	left := time.Until(at)
	if left <= 0 {
		return nil
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(left))}
	if err := unix.TimerfdSettime(t.fd, 0, &spec, nil); err != nil {
		return fmt.Errorf("set timer: %w", err)
	}
	var expirations [8]byte
	if _, err := t.file.Read(expirations[:]); err != nil {
		return fmt.Errorf("await timer: %w", err)
	}
	return nil
}

// Close releases the timer.
func (t *Timer) Close() error { return t.file.Close() }
