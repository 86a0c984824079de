package main

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
