// Package proc reads the CPU time and memory of a process from Linux, its threads,
// descriptors and connections, and its gauges from a Prometheus page. It only reads, except for ResetPeak.
package proc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, which Linux fixes at 100 for /proc on every
// architecture that Go supports.
const ticksPerSecond = 100

// CPU is the user and system time of all threads of the process so far, those
// that ended included, in steps of 10 ms.
func CPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return parseStat(b)
}

// parseStat takes fields 14 and 15 (utime, stime) of proc_pid_stat(5). The name
// in field 2 may hold blanks and parentheses, so fields count from the last ')'.
func parseStat(b []byte) (time.Duration, error) {
	end := bytes.LastIndexByte(b, ')')
	if end < 0 {
		return 0, errors.New("parse stat: no process name")
	}
	fields := strings.Fields(string(b[end+1:]))
	const utime, stime = 14 - 3, 15 - 3 // the first field after the name is number 3
	if len(fields) <= stime {
		return 0, fmt.Errorf("parse stat: %d fields after the name", len(fields))
	}
	var ticks int64
	for _, f := range []string{fields[utime], fields[stime]} {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("parse stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// Memory is resident memory in bytes: now, and the most since the start or the
// last ResetPeak.
type Memory struct {
	Resident int64
	Peak     int64
}

// ReadMemory reads VmRSS and VmHWM.
func ReadMemory(pid int) (Memory, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, fmt.Errorf("read memory: %w", err)
	}
	return parseStatus(b)
}

func parseStatus(b []byte) (Memory, error) {
	var m Memory
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(line, ":")
		var into *int64
		switch name {
		case "VmRSS":
			into = &m.Resident
		case "VmHWM":
			into = &m.Peak
		default:
			continue
		}
		kib, ok := strings.CutSuffix(strings.TrimSpace(rest), " kB")
		if !ok {
			return Memory{}, fmt.Errorf("parse status: %s is not in kB", name)
		}
		n, err := strconv.ParseInt(strings.TrimSpace(kib), 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("parse status: %s: %w", name, err)
		}
		*into = n << 10
	}
	if m.Resident == 0 || m.Peak == 0 {
		return Memory{}, errors.New("parse status: VmRSS or VmHWM missing")
	}
	return m, nil
}

// ResetPeak restarts Peak from the current resident memory.
func ResetPeak(pid int) error {
	// 5 = reset the peak resident set size, proc_pid_clear_refs(5).
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o200); err != nil {
		return fmt.Errorf("reset peak memory: %w", err)
	}
	return nil
}

// ParseMetrics reads a Prometheus text page and sums each name over its labels.
func ParseMetrics(r io.Reader) (map[string]float64, error) {
	sums := make(map[string]float64)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // one metric line is far below 1 MiB
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name := line[:max(strings.IndexAny(line, "{ "), 0)]
		rest := line[len(name):]
		if close := strings.LastIndexByte(rest, '}'); close >= 0 {
			rest = rest[close+1:]
		}
		fields := strings.Fields(rest) // the value, then perhaps a timestamp
		if name == "" || len(fields) == 0 {
			return nil, fmt.Errorf("parse metrics: no name or value in %q", line)
		}
		v, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return nil, fmt.Errorf("parse metrics: %s: %w", name, err)
		}
		sums[name] += v
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return sums, nil
}
