package services

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// procID identifies one process forever: a pid alone is reused after its process has
// ended, the same pid with the same start time in the same boot is not.
type procID struct {
	PID        int    `json:"pid"`
	StartTicks uint64 `json:"start_ticks"` // clock ticks since boot, proc_pid_stat(5) field 22
	BootID     string `json:"boot_id"`
}

// procStat is the part of /proc/<pid>/stat that is needed here.
type procStat struct {
	state      byte // R, S, D, T (stopped), Z (zombie), …
	startTicks uint64
}

func readProcStat(pid int) (procStat, error) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, fmt.Errorf("read process status: %w", err)
	}
	// Field 2 is the command in parentheses and may itself hold ") ".
	end := bytes.LastIndexByte(raw, ')')
	fields := strings.Fields(string(raw[end+1:]))
	const stateField, startField = 3, 22
	if end < 0 || len(fields) <= startField-stateField {
		return procStat{}, fmt.Errorf("read process status: %q is not the format of proc_pid_stat(5)", raw)
	}
	ticks, err := strconv.ParseUint(fields[startField-stateField], 10, 64)
	if err != nil {
		return procStat{}, fmt.Errorf("read process start time: %w", err)
	}
	return procStat{state: fields[0][0], startTicks: ticks}, nil
}

// identify returns the identity of the process that has the pid now.
func identify(pid int) (procID, error) {
	stat, err := readProcStat(pid)
	if err != nil {
		return procID{}, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return procID{}, fmt.Errorf("read boot id: %w", err)
	}
	return procID{PID: pid, StartTicks: stat.startTicks, BootID: strings.TrimSpace(string(boot))}, nil
}

// alive reports whether exactly this process still runs. A zombie does not run: it has
// ended, and its parent has not yet waited for it.
func (id procID) alive() bool {
	now, err := identify(id.PID)
	if err != nil || now != id {
		return false
	}
	stat, err := readProcStat(id.PID)
	return err == nil && stat.state != 'Z' && stat.state != 'X'
}
