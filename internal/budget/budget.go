package budget

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// reserveShare of the bytes is added for work alone: the bodies of those who wait for a
	// slot may hold everything else, and the one who has it must be able to finish.
	reserveShare = 4
	// leastReserve, in bytes, is what one large event may take while it is checked.
	leastReserve = 16 << 20
	// smallShare of the bytes is for what is small: it must not be refused because large
	// bodies wait for their turn, nor because of the work on one of them.
	smallShare = 8
	// slotWait is how long work waits for a slot.
	slotWait = 5 * time.Second
)

// Budget is what requests may cost together. It is safe for concurrent use.
type Budget struct {
	limit   int64 // bytes that requests may hold
	reserve int64 // bytes that work may take beyond that
	share   int64 // bytes that are left to what is small, of limit and beyond reserve
	held    atomic.Int64
	working atomic.Int64 // of those, bytes that work has taken

	quick, long chan struct{} // a token is a slot that is taken
	wait        time.Duration

	waiting atomic.Int64
	refused [reasons]atomic.Uint64
}

// The reasons for which a budget refuses.
const (
	noMemory = iota
	noSlot
	reasons
)

// New returns a budget of so many bytes. It has a slot for quick work on each processor,
// and slots for long work on half of them, so that the others stay free.
func New(bytes int64) *Budget {
	processors := runtime.GOMAXPROCS(0)
	return &Budget{
		limit: bytes, reserve: max(leastReserve, bytes/reserveShare), share: bytes / smallShare, wait: slotWait,
		quick: make(chan struct{}, processors), long: make(chan struct{}, max(1, processors/2)),
	}
}

// Take reserves n bytes of a body of at most QuickBytes and reports whether they fit.
func (b *Budget) Take(n int64) bool { return b == nil || b.take(n, b.limit, b.most()) }

// TakeLarge is Take for whatever is larger: it leaves room for small bodies.
func (b *Budget) TakeLarge(n int64) bool {
	return b == nil || b.take(n, b.limit, b.limit-b.share)
}

// most is how many bytes may be held in all, those of work included.
func (b *Budget) most() int64 { return b.limit + b.reserve + b.share }

// take reserves n bytes if all but work then hold limit at most, and everything holds most.
func (b *Budget) take(n, limit, most int64) bool {
	for {
		held := b.held.Load()
		if n > limit-(held-b.working.Load()) || n > most-held {
			b.refused[noMemory].Add(1)
			return false
		}
		if b.held.CompareAndSwap(held, held+n) {
			return true
		}
	}
}

// Force reserves n bytes whether they fit or not: of what exists already, and cannot be
// refused any more.
func (b *Budget) Force(n int64) {
	if b != nil {
		b.held.Add(n)
	}
}

// Room reports whether a large body of n bytes would fit now.
func (b *Budget) Room(n int64) bool { return b == nil || n <= b.limit-b.share-b.held.Load() }

// Give returns n reserved bytes.
func (b *Budget) Give(n int64) {
	if b != nil {
		b.held.Add(-n)
	}
}

// Limit is how many bytes requests may hold.
func (b *Budget) Limit() int64 { return b.limit }

// Held is how many bytes are reserved now.
func (b *Budget) Held() int64 { return b.held.Load() }

// Waiting is how many events wait for a slot now.
func (b *Budget) Waiting() int64 { return b.waiting.Load() }

// Refused is how often there was no memory, and how often no slot.
func (b *Budget) Refused() (memory, slots uint64) {
	return b.refused[noMemory].Load(), b.refused[noSlot].Load()
}
