//go:build torture

package failpoint

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// Enabled tells whether this build can crash.
const Enabled = true

// active is what GATEWAY_TEST_CRASH asks for.
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
		select {} // nothing runs between the signal and the end
	case stop:
		report(point, stop)
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	}
}

// report is one write, so that it is whole in whatever reads standard error.
func report(point string, a action) {
	_, _ = fmt.Fprintf(os.Stderr, "gateway-crash point=%s action=%s\n", point, a)
}

// Now is the wall clock with the skew that was asked for. Differences of two
// readings are true: the skew does not change.
func Now() time.Time { return time.Now().Add(active.skew) }
