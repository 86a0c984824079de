package outbox

import "context"

// found are rows that a reader has found, in the order in which they are to be published.
type found struct {
	rows []*Row
	// all says that all rows have been found now that were in the table when the session
	// began.
	all bool
}

// reader finds the rows of an outbox. It finds a row again only after it was forgotten.
type reader interface {
	// run sends what it finds until ctx ends. It waits while nobody receives.
	run(ctx context.Context, out chan<- found) error
	// left says that rows are not in the table any more.
	left(rows []finished)
	// forget lets the reader find rows again, if they are still there.
	forget(rows []*Row)
	// position is up to where in the write-ahead log all is published that was read; 0
	// where it does not matter.
	position() uint64
}
