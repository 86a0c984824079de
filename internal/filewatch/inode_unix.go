//go:build unix

package filewatch

import (
	"io/fs"
	"syscall"
)

// inode tells a file from the one that took its place, even if size and time are the
// same.
func inode(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}
