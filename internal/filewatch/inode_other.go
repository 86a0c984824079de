//go:build !unix

package filewatch

import "io/fs"

// inode has no portable meaning here; size and time have to do.
func inode(fs.FileInfo) uint64 { return 0 }
