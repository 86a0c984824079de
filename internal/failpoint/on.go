//go:build torture

package failpoint

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// Enabled tells whether the failpoints of this build are active.
const Enabled = true

// active is what GATEWAY_TEST_FAILPOINTS asks for.
var active = load()

func load() *plan {
	p, err := parse(os.Getenv(variable))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", variable, err)
		os.Exit(2)
	}
	return p
}

// At may kill or stop the process here.
func At(point string) {
	switch active.draw(point) {
	case kill:
		report(point, kill)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // no more code runs before the process ends
	case stop:
		report(point, stop)
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	}
}

// report makes one write, so that a reader of standard error gets the whole line.
func report(point string, a action) {
	_, _ = fmt.Fprintf(os.Stderr, "gateway-failpoint point=%s action=%s\n", point, a)
}

// Now is the wall clock with the requested skew. The difference of two readings is
// right, because the skew does not change.
func Now() time.Time { return time.Now().Add(active.skew) }
