package outbox

import "context"

// found are rows that a reader has found, in the order in which they are to be published.
type found struct {
	rows []*Row
	// all says that all rows have been found now that were in the table when the session
	// began.
	all bool
}

// reader finds the rows of an outbox, each once.
type reader interface {
	// run sends what it finds until ctx ends. It waits while nobody receives.
	run(ctx context.Context, out chan<- found) error
	// leaving says that rows are about to be deleted. It returns up to where the write-ahead
	// log is not needed any more once they are; 0 if that does not matter.
	leaving(rows []finished) (position uint64)
	// park says that rows stay in the table until reread is called with their entity and
	// their numbers, however long that takes.
	park(rows []*Row)
	reread(ctx context.Context, entity string, seqs []int64) error
	// left says that they are deleted.
	left(rows []finished, position uint64)
}
