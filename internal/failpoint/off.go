//go:build !torture

package failpoint

import "time"

// Enabled tells whether this build can crash.
const Enabled = false

// At may end the process here, if this is a build for torture.
func At(string) {}

// Now is time.Now; in a build for torture, with the skew that was asked for.
func Now() time.Time { return time.Now() }
