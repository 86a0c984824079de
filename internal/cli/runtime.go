package cli

import (
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"

	"eventgateway/internal/config"
)

const (
	// The live heap is usually small: at Go's default of 100 % it would be collected
	// many times a second. More than 400 % gained nothing in measurements.
	maxGCPercent = 400
	// Hundreds of event types keep hundreds of megabytes live, and 400 % of those
	// would be gigabytes.
	minGCPercent = 100
	// heapGrowth is how many bytes the heap grows between two collections, within the
	// two limits above.
	heapGrowth = 128 << 20
)

// addProcessor raises GOMAXPROCS by one. The thread that waits in C for delivery
// reports keeps its processor until the runtime takes it back, and without another one
// runnable goroutines often wait. An environment with GOMAXPROCS overrides.
//
// Once the number is set, Go no longer follows a CPU limit that changes at run time.
func addProcessor() {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
}

// fitCollector sets the percentage of garbage collection by the heap that is live once
// the event types are loaded, and returns the memory that loading took to the system.
// An environment with GOGC overrides. memory is the limit of the process: if event types
// take most of it, the log says so, because the collector would do nothing else.
func fitCollector(memory config.Size, logger *slog.Logger) {
	debug.FreeOSMemory() // collects first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > uint64(memory)/4 { //nolint:gosec // not negative
		logger.Warn("the event types take more than a quarter of the memory limit: raise memory.limit, or the container's",
			"memory_limit", int64(memory), "taken", m.HeapAlloc)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercentFor(m.HeapAlloc))
	}
}

const (
	// relayGCPercent: a busy relay allocates 10 kB a row and keeps 13 MB, which Go's default
	// collects every thousand rows.
	relayGCPercent = 200
	// relayMemory is from where on the relay's memory matters more: with large rows.
	relayMemory = 128 << 20
)

// boundCollector sets the garbage collection of a process that only relays: most of its
// memory is rows that pass through. GOGC and GOMEMLIMIT in the environment override.
func boundCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(relayGCPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(relayMemory)
	}
}

func gcPercentFor(liveBytes uint64) int {
	return int(min(maxGCPercent, max(minGCPercent, heapGrowth*100/max(liveBytes, 1))))
}
