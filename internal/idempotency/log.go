package idempotency

import (
	"context"
	"time"

	"eventgateway/internal/event"
)

// Log is where the truth is: what was written, whatever Redis remembers.
type Log interface {
	// Quiesce waits until nothing that was claimed before since can still be
	// appended: a whole lease, or, transactional, until every producer was fenced.
	Quiesce(ctx context.Context, since time.Time) error
	// Replay visits every deduplicated record with a timestamp of from or later,
	// from one goroutine, in no order across partitions, up to an end beyond
	// everything that was appended before the call. It returns visit's error.
	Replay(ctx context.Context, from time.Time, visit func(event.LogEntry) error) error
}
