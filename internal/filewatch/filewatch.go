// Package filewatch notices when files change. It looks instead of being notified:
// notifications do not work on network file systems, and are subtle where Kubernetes
// switches a link (docs/adr/0005-schemas-are-polled.md).
//
// It imports internal/backoff and no other package of the gateway.
package filewatch

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"eventgateway/internal/backoff"
)

// Stamp tells the states of a file apart: two stamps of an unchanged file are equal.
// A file that was rewritten within one tick of the file system's clock, with the same
// size, may keep its stamp.
type Stamp string

// Of returns the stamp of the file that info describes.
func Of(info fs.FileInfo) Stamp {
	return Stamp(fmt.Sprintf("%d %d %d", info.Size(), info.ModTime().UnixNano(), inode(info)))
}

// Files returns one stamp of several files. It follows links, so a link that now leads
// to another file is a change. A file that cannot be looked at has a stamp too.
func Files(paths ...string) Stamp {
	var all strings.Builder
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			fmt.Fprintf(&all, "%q: %v\n", path, err)
			continue
		}
		fmt.Fprintf(&all, "%q: %s\n", path, Of(info))
	}
	return Stamp(all.String())
}

// Watch looks after each interval and calls changed when the stamp is not the one
// before, beginning with seen, until ctx ends. Take seen before you read the files:
// then no change is missed.
func Watch(ctx context.Context, interval time.Duration, seen Stamp, look func() Stamp, changed func()) {
	for backoff.Sleep(ctx, interval) {
		if now := look(); now != seen {
			seen = now
			changed()
		}
	}
}
