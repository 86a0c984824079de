//go:build !linux

package kafka

import (
	"syscall"
	"time"
)

// setUserTimeout does nothing: only Linux has the option. franz-go's own timeouts end
// a request, whether or not the kernel has noticed that the host is gone.
func setUserTimeout(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
