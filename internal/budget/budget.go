package budget

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"eventgateway/internal/backoff"
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
	// pollRoom is how often who waits for memory looks for it.
	pollRoom = 20 * time.Millisecond
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

	quickBegun atomic.Uint64 // how much quick work has begun
	quickSeen  atomic.Uint64 // of that, what long work has seen
	quickAt    atomic.Int64  // when it saw the last, in Unix nanoseconds

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
	return b == nil || b.counted(b.fits(n, b.limit, b.Largest()))
}

// AwaitLarge is TakeLarge that waits for room, as long as work waits for a slot. Whoever
// calls it must hold nothing large: it could wait for itself.
func (b *Budget) AwaitLarge(n int64) bool {
	if b == nil {
		return true
	}
	fits := func() bool { return b.fits(n, b.limit, b.Largest()) }
	if fits() {
		return true
	}
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	ctx, cancel := context.WithTimeout(context.Background(), b.wait)
	defer cancel()
	return b.counted(backoff.Poll(ctx, pollRoom, fits))
}

// most is how many bytes may be held in all, those of work included.
func (b *Budget) most() int64 { return b.limit + b.reserve + b.share }

func (b *Budget) take(n, limit, most int64) bool { return b.counted(b.fits(n, limit, most)) }

func (b *Budget) counted(ok bool) bool {
	if !ok {
		b.refused[noMemory].Add(1)
	}
	return ok
}

// fits reserves n bytes if all but work then hold limit at most, and everything holds most.
func (b *Budget) fits(n, limit, most int64) bool {
	for {
		held := b.held.Load()
		if n > limit-(held-b.working.Load()) || n > most-held {
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
func (b *Budget) Room(n int64) bool { return b == nil || n <= b.Largest()-b.held.Load() }

// Give returns n reserved bytes.
func (b *Budget) Give(n int64) {
	if b != nil {
		b.held.Add(-n)
	}
}

// Largest is how many bytes what is large may hold.
func (b *Budget) Largest() int64 { return b.limit - b.share }

// Limit is how many bytes requests may hold.
func (b *Budget) Limit() int64 { return b.limit }

// Held is how many bytes are reserved now.
func (b *Budget) Held() int64 { return b.held.Load() }

// Waiting is how many events wait for a slot, or for room, now.
func (b *Budget) Waiting() int64 { return b.waiting.Load() }

// Refused is how often there was no memory, and how often no slot.
func (b *Budget) Refused() (memory, slots uint64) {
	return b.refused[noMemory].Load(), b.refused[noSlot].Load()
}
