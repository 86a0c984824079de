package publish

import (
	"sync/atomic"
	"time"
)

const (
	// turnWeight is the share of the newest transaction in the usual length of one.
	turnWeight = 8
	// strayFor is how much sooner another producer must begin to be chosen instead of a
	// partition's first one: a transaction costs the brokers a marker in each partition.
	strayFor = time.Millisecond
)

// txTurns estimates when a producer's next transaction begins. Times are nanoseconds.
type txTurns struct {
	begun atomic.Int64 // when the transaction in progress began, 0: none is
	free  atomic.Int64 // when the next may begin, if none is in progress
	usual atomic.Int64 // how long one takes, with the pause behind it
}

func (t *txTurns) begin(now time.Time) { t.begun.Store(now.UnixNano()) }

func (t *txTurns) end(now, free time.Time) {
	took := free.UnixNano() - t.begun.Load()
	if usual := t.usual.Load(); usual > 0 {
		took = usual + (took-usual)/turnWeight
	}
	t.usual.Store(took)
	t.free.Store(free.UnixNano())
	t.begun.Store(0)
}

// wait estimates how long what comes now waits for its transaction to begin. The longer
// the one in progress is overdue, the longer it is expected to take.
func (t *txTurns) wait(now time.Time) time.Duration {
	at := now.UnixNano()
	begun := t.begun.Load()
	if begun == 0 {
		return time.Duration(max(0, t.free.Load()-at))
	}
	left := begun + t.usual.Load() - at
	return time.Duration(max(left, -left))
}

// interval is that at which the pool's transactions begin, if each takes as long as one
// usually does here.
func (t *txTurns) interval() time.Duration { return time.Duration(t.usual.Load() / poolSize) }
