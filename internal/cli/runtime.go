package cli

import (
	"os"
	"runtime"
	"runtime/debug"
)

const (
	// Usually the live heap is small: with Go's default of 100 % it would be
	// collected many times a second. Collecting even less than this was measured to
	// gain nothing.
	mostGCPercent = 400
	// Hundreds of event types keep hundreds of megabytes, of which 400 % would be
	// gigabytes.
	leastGCPercent = 100
	// heapRoom is how far the heap may grow between two collections, where the
	// bounds above allow it.
	heapRoom = 128 << 20
)

// addProcessor lets one more thread run Go code than Go itself would: the one that
// waits in C for delivery reports holds its place until the runtime takes it back,
// and much of the time one that could work finds none. GOMAXPROCS overrides.
//
// With a number of its own, Go no longer follows a CPU limit that changes while it
// runs.
func addProcessor() {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
}

// fitCollector sets how much garbage may gather, by what is live once the event
// types are loaded, and gives back what loading them took. GOGC overrides.
func fitCollector() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.FreeOSMemory() // collects first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetGCPercent(gcPercentFor(m.HeapAlloc))
}

func gcPercentFor(liveBytes uint64) int {
	return int(min(mostGCPercent, max(leastGCPercent, heapRoom*100/max(liveBytes, 1))))
}
