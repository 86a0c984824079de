package delivery

import (
	"math/rand/v2"
	"time"
)

const (
	// The breaker opens when at least half of the last attempts, of which there are
	// breakerLeast within breakerAge, have failed, and those of breakerEvents different
	// events: one event that can never be delivered is not a sick endpoint.
	breakerKeeps  = 32
	breakerLeast  = 10
	breakerEvents = 5
	breakerAge    = time.Minute
	// An open breaker tries one event after a pause that grows between these.
	breakerPause, breakerMostPause = time.Second, 30 * time.Second
)

type breakerState int32

const (
	breakerClosed breakerState = iota
	breakerOpen
	breakerHalfOpen
)

func (s breakerState) String() string { return [...]string{"closed", "open", "half-open"}[s] }

// breaker keeps a sick endpoint from burning events: while it is not closed, failures do
// not count against events. After a pause it lets 1, 2, 4, … attempts be on at once, up
// to the subscription's concurrency. Failures of every class count, 4xx as well.
type breaker struct {
	most      int // the concurrency
	state     breakerState
	last      []attemptNote // a ring
	at        int
	until     time.Time // open until then
	pause     time.Duration
	limit     int // half-open
	good, bad int
}

type attemptNote struct {
	at     time.Time
	event  int64 // of an event; offsets of different partitions rarely collide
	failed bool
}

func newBreaker(concurrency int) *breaker { return &breaker{most: concurrency} }

// limitNow is how many attempts may be on. An open breaker whose pause is over becomes
// half-open.
func (b *breaker) limitNow(now time.Time) int {
	switch b.state {
	case breakerOpen:
		if now.Before(b.until) {
			return 0
		}
		b.state, b.limit, b.good, b.bad = breakerHalfOpen, 1, 0, 0
		return 1
	case breakerHalfOpen:
		return b.limit
	}
	return b.most
}

// note takes the result of an attempt. It reports whether a failure counts against its
// event.
func (b *breaker) note(now time.Time, event int64, failed bool) (counts bool) {
	switch b.state {
	case breakerOpen:
		return false // begun before it opened
	case breakerHalfOpen:
		if !failed {
			b.good++
			if b.limit *= 2; b.limit >= b.most && b.good > 2*b.bad {
				b.state, b.pause, b.last, b.at = breakerClosed, 0, nil, 0
			}
			b.limit = min(b.limit, b.most)
			return true
		}
		if b.bad++; b.bad > b.good {
			b.open(now)
		}
		return false
	}
	n := attemptNote{at: now, event: event, failed: failed}
	if len(b.last) < breakerKeeps {
		b.last = append(b.last, n)
	} else {
		b.last[b.at] = n
		b.at = (b.at + 1) % breakerKeeps
	}
	if !failed {
		return true
	}
	if b.sick(now) {
		b.open(now)
		return false
	}
	return true
}

func (b *breaker) sick(now time.Time) bool {
	all, bad := 0, 0
	events := make(map[int64]bool, breakerEvents)
	for _, n := range b.last {
		if now.Sub(n.at) > breakerAge {
			continue
		}
		all++
		if n.failed {
			bad++
			events[n.event] = true
		}
	}
	return all >= breakerLeast && 2*bad >= all && len(events) >= breakerEvents
}

func (b *breaker) open(now time.Time) {
	b.pause = min(max(2*b.pause, breakerPause), breakerMostPause)
	b.state = breakerOpen
	// Several gateways have the same endpoint: they must not all come back at once.
	b.until = now.Add(b.pause/2 + rand.N(b.pause/2+1)) //nolint:gosec // no secret
}
