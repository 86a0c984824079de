package cli

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"eventgateway/internal/config"
)

const (
	// defaultMemory is what a gateway with the default settings needs at most.
	defaultMemory = config.GiB
	// Of the memory limit, requests may hold one part in requestShare, and records that Kafka
	// has not acknowledged as much again. The rest is for what is always there, for
	// decoders, and for what the collector has not collected yet.
	requestShare = 4
	// Go's runtime is told collectorShare/10 of the limit: C libraries, the program itself,
	// and what the limit is exceeded by while a collection runs, are not Go's to count.
	collectorShare = 8
)

// fitMemory finds out how much memory the process may use, tells Go's collector, and lowers
// http.in_flight_limit to what fits. It returns the limit.
func fitMemory(cfg *config.Config, logger *slog.Logger) config.Size {
	limit, from := memoryLimit(cfg, config.Size(containerMemory("/")))
	if cfg.Memory.Limit > 0 || os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(limit) / 10 * collectorShare)
	} else if told := debug.SetMemoryLimit(-1); told < math.MaxInt64 { // not GOMEMLIMIT=off
		limit, from = config.Size(told/collectorShare*10), "GOMEMLIMIT"
	}
	logger.Info("memory limit", "bytes", int64(limit), "from", from)
	if most := max(limit/requestShare, cfg.HTTP.BodyLimit); cfg.HTTP.InFlightLimit > most {
		logger.Warn("http.in_flight_limit is lowered to a quarter of the memory limit", "memory_limit", int64(limit),
			"in_flight_limit", int64(cfg.HTTP.InFlightLimit), "lowered_to", int64(most))
		cfg.HTTP.InFlightLimit = most
	}
	return limit
}

// memoryLimit is memory.limit, or what the other settings need, but not more than the limit
// of the container, 0 for none.
func memoryLimit(cfg *config.Config, container config.Size) (limit config.Size, from string) {
	limit, from = max(defaultMemory, requestShare*cfg.HTTP.InFlightLimit), "default"
	if cfg.Memory.Limit > 0 {
		limit, from = cfg.Memory.Limit, "memory.limit"
	}
	if container > 0 && container < limit {
		return container, "container"
	}
	return limit, from
}

// containerMemory is the least memory limit of the control groups that this process is in,
// in bytes, 0 if there is none (cgroups(7)). Files are looked for below root.
func containerMemory(root string) int64 {
	least := int64(math.MaxInt64)
	groups, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup")) //nolint:gosec // a fixed path
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		folder, file := "sys/fs/cgroup", "memory.max"
		if parts[1] == "memory" {
			folder, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		} else if parts[0] != "0" {
			continue
		}
		// A container may see its own group as the root, or under the path that the host has.
		for path := parts[2]; ; path = filepath.Dir(path) {
			if n, ok := limitIn(filepath.Join(root, folder, path, file)); ok {
				least = min(least, n)
			}
			if path == "/" || path == "." {
				break
			}
		}
	}
	if least >= unlimited {
		return 0
	}
	return least
}

// unlimited is what version 1 of cgroups writes, or more: 2^63 less a page.
const unlimited = math.MaxInt64 &^ (1<<20 - 1)

func limitIn(path string) (int64, bool) {
	text, err := os.ReadFile(path) //nolint:gosec // a fixed folder
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil && n > 0
}
