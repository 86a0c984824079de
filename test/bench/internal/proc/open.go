package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Threads counts the process' threads.
func Threads(pid int) (int, error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, fmt.Errorf("count threads: %w", err)
	}
	return len(tasks), nil
}

// Descriptors counts the process' open files, sockets included.
func Descriptors(pid int) (int, error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, fmt.Errorf("count descriptors: %w", err)
	}
	return len(open), nil
}

// Connections counts the process' established TCP connections over IPv4 by remote port.
func Connections(pid int) (map[int]int, error) {
	own := make(map[string]bool)
	folder := fmt.Sprintf("/proc/%d/fd", pid)
	open, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("list sockets: %w", err)
	}
	for _, d := range open {
		name, err := os.Readlink(folder + "/" + d.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue // closed since
		}
		if err != nil {
			return nil, fmt.Errorf("list sockets: %w", err)
		}
		if inode, ok := strings.CutPrefix(name, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	if err != nil {
		return nil, fmt.Errorf("list connections: %w", err)
	}
	return parseTCP(table, own)
}

// parseTCP takes remote address, state and inode of proc_net_tcp(5), fields 3, 4 and 10,
// from the lines of the given inodes.
func parseTCP(table []byte, inodes map[string]bool) (map[int]int, error) {
	const remote, state, inode, established = 2, 3, 9, "01"
	counts := make(map[int]int)
	_, lines, _ := bytes.Cut(table, []byte("\n")) // the heading
	for line := range strings.Lines(string(lines)) {
		fields := strings.Fields(line)
		if len(fields) <= inode {
			return nil, fmt.Errorf("parse connections: %d fields in %q", len(fields), line)
		}
		if fields[state] != established || !inodes[fields[inode]] {
			continue
		}
		_, text, _ := strings.Cut(fields[remote], ":")
		port, err := strconv.ParseUint(text, 16, 16)
		if err != nil {
			return nil, fmt.Errorf("parse connections: remote port: %w", err)
		}
		counts[int(port)]++
	}
	return counts, nil
}
