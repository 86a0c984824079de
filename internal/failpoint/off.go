//go:build !torture

package failpoint

import "time"

// Enabled tells whether the failpoints of this build are active.
const Enabled = false

// At does nothing. In a build for torture it may kill or stop the process here.
func At(string) {}

// Now is time.Now. In a build for torture it is off by the requested skew.
func Now() time.Time { return time.Now() }
