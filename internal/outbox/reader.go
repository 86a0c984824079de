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
	// leaving says that rows are about to be deleted. It returns up to where the write-ahead
	// log is not needed any more once they are; 0 if that does not matter.
	leaving(rows []finished) (position uint64)
	// left says that they are deleted.
	left(rows []finished, position uint64)
}
