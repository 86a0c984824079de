package publish

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"eventgateway/internal/event"
)

// inFlight is a record that was handed to a client, until the client says what became
// of it.
type inFlight struct {
	record event.Record
	size   int       // in a batch
	began  time.Time // when it was handed over, by the monotonic clock
	done   chan ack

	follows bool // it must not be written unless the one before it in the partition is

	waits      *waits
	prev, next *inFlight // of waits, and guarded by its lock
	answered   bool      // its caller has an answer: what the client says later is not passed on
	removed    bool      // from waits
	alone      bool      // no other record of its partition was in flight with it
}

// waits are the records of one partition that one client has, oldest first.
type waits struct {
	topic     string
	partition int32

	mu          sync.Mutex
	first, last *inFlight
	// given is cancelled when the partition is given up; givenUp is since when, zero
	// otherwise.
	given   context.Context
	cancel  context.CancelFunc
	givenUp time.Time

	acked atomic.Int64 // when the newest record was acknowledged, Unix nanoseconds; 0: never
}

// sequenceKept is how long a broker surely keeps the sequence of a producer that writes
// nothing: much shorter than Kafka's producer.id.expiration.ms, a day.
const sequenceKept = time.Hour

// wasAlone reports whether no other record of the partition was in flight with f.
func (w *waits) wasAlone(f *inFlight) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return f.alone
}

// known reports whether the partition's leader still knows the client's sequence. If
// nothing was ever acknowledged, the client sends one batch at a time.
func (w *waits) known() bool {
	at := w.acked.Load()
	return at == 0 || time.Since(time.Unix(0, at)) < sequenceKept
}

func newWaits(topic string, partition int32) *waits {
	w := &waits{topic: topic, partition: partition}
	w.given, w.cancel = context.WithCancel(context.Background())
	return w
}

// add appends f. It reports false if the partition is given up.
func (w *waits) add(f *inFlight) bool { return w.addAll([]*inFlight{f}) }

// addAll appends all, so that they are given up together, or none.
func (w *waits) addAll(all []*inFlight) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.givenUp.IsZero() {
		return false
	}
	for _, f := range all {
		w.append(f)
	}
	return true
}

// append is called with mu held.
func (w *waits) append(f *inFlight) {
	if w.last == nil {
		w.first, f.alone = f, true
	} else {
		w.last.next, f.prev = f, w.last
		w.first.alone = false
	}
	w.last, f.waits = f, w
}

// end removes f, of which the client has said what became of it. It reports whether the
// record was still there, and whether its caller still waits.
func (w *waits) end(f *inFlight) (there, waiting bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f.removed {
		return false, false
	}
	if f.prev == nil {
		w.first = f.next
	} else {
		f.prev.next = f.next
	}
	if f.next == nil {
		w.last = f.prev
	} else {
		f.next.prev = f.prev
	}
	waiting = !f.answered
	f.prev, f.next, f.removed, f.answered = nil, nil, true, true
	if w.first == nil && !w.givenUp.IsZero() {
		w.givenUp = time.Time{} // the client has nothing of it any more
		w.given, w.cancel = context.WithCancel(context.Background())
	}
	return true, waiting
}

// removeAll removes all records: the client is closed. waiting are those whose callers
// still wait.
func (w *waits) removeAll() (waiting, all []*inFlight) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel()
	waiting = w.unansweredLocked()
	for f := w.first; f != nil; f = f.next {
		f.removed = true
		all = append(all, f)
	}
	w.first, w.last = nil, nil
	return waiting, all
}

// giveUp takes no more records until the client has ended those it has, if one of them
// was handed over before latest. It returns when the oldest was, and those whose callers
// still wait.
func (w *waits) giveUp(now, latest time.Time) (oldest time.Time, waiting []*inFlight, given bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first == nil || !w.givenUp.IsZero() || w.first.began.After(latest) {
		return time.Time{}, nil, false
	}
	w.givenUp = now
	w.cancel()
	return w.first.began, w.unansweredLocked(), true
}

// unansweredLocked are the records whose callers still wait. They count as answered from
// now on.
func (w *waits) unansweredLocked() (waiting []*inFlight) {
	for f := w.first; f != nil; f = f.next {
		if !f.answered {
			f.answered = true
			waiting = append(waiting, f)
		}
	}
	return waiting
}

// stuckSince is since when the partition is given up while the client still has records
// of it.
func (w *waits) stuckSince() (since time.Time, stuck bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.givenUp, !w.givenUp.IsZero()
}

// context is cancelled when the partition is given up.
func (w *waits) context() context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.given
}
