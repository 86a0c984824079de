package load

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// kernelTimer sleeps to some microseconds. Go's own timers, when nothing else is
// going on, are only good to a millisecond, more than a whole request takes; a
// blocking sleep would need a second thread, and waking it costs several times
// the CPU of the request. A timerfd wakes the poller that waits for the
// connections anyway.
type kernelTimer struct {
	fd   int
	file *os.File
}

func newKernelTimer() (*kernelTimer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create timer: %w", err)
	}
	return &kernelTimer{fd: fd, file: os.NewFile(uintptr(fd), "timerfd")}, nil
}

func (t *kernelTimer) sleepUntil(at time.Time) error {
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

func (t *kernelTimer) close() error { return t.file.Close() }
