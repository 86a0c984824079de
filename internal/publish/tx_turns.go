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
	// longestInterval bounds the pauses between the pool's transactions after some that
	// took long for a while.
	longestInterval = 50 * time.Millisecond
)

// txTurns estimates when a producer's next transaction begins. Times are nanoseconds, by
// a clock that may be set: they only decide which producer is better.
type txTurns struct {
	begun atomic.Int64 // when the transaction in progress began, 0: none is
	free  atomic.Int64 // when the next may begin, if none is in progress
	usual atomic.Int64 // how long one takes, with the pause behind it
}

func (t *txTurns) begin(now time.Time) { t.begun.Store(now.UnixNano()) }

// end notes how long the transaction took, with the pause behind it, and when the next
// may begin.
func (t *txTurns) end(took time.Duration, free time.Time) {
	length := int64(took)
	if usual := t.usual.Load(); usual > 0 {
		length = usual + (length-usual)/turnWeight
	}
	t.usual.Store(length)
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
func (t *txTurns) interval() time.Duration {
	return min(longestInterval, time.Duration(t.usual.Load()/poolSize))
}
