package budget

import (
	"sync"
	"time"

	"eventgateway/internal/event"
)

// QuickBytes is the size, in bytes, of the largest text whose parse and validation count as
// quick at first: that takes a few milliseconds at most.
const QuickBytes = 64 << 10

const (
	// turn is how long long work goes on without a pause while there is quick work. Go's
	// scheduler looks for what the network brings when a goroutine pauses, and otherwise every
	// 10 ms; and without pauses, long work and the collector of what it allocates leave little
	// of a small machine.
	turn = time.Millisecond
	// longestPause bounds one pause: time that passed may have been that of other programs.
	longestPause = 20 * time.Millisecond
	// lull is how long after the last quick work began there is no more of it.
	lull = 100 * time.Millisecond
)

// Work is a slot, and the bytes that were taken while it was held. It belongs to one
// goroutine.
type Work struct {
	budget *Budget
	slots  chan struct{} // of which it holds one; nil: none
	held   int64
	since  time.Time // when its turn began
}

var works = sync.Pool{New: func() any { return new(Work) }}

// Begin waits for a slot to work on a text of so many bytes. A text of up to QuickBytes
// gets a slot for quick work, which holds no longer than [Work.Longer] is called; longer
// ones share the slots for long work. End must be called. The error is an *event.Error,
// overloaded.
func (b *Budget) Begin(size int) (*Work, error) {
	if b == nil {
		return nil, nil
	}
	slots := b.quick
	if size > QuickBytes {
		slots = b.long
	} else {
		b.quickBegun.Add(1)
	}
	if !b.enter(slots) {
		return nil, b.Busy()
	}
	w, _ := works.Get().(*Work)
	*w = Work{budget: b, slots: slots}
	if size > QuickBytes {
		w.since = time.Now()
	}
	return w, nil
}

// enter takes a slot, and reports whether there was one in time.
func (b *Budget) enter(slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
	}
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	timer := time.NewTimer(b.wait)
	defer timer.Stop()
	select {
	case slots <- struct{}{}:
		return true
	case <-timer.C:
		b.refused[noSlot].Add(1)
		return false
	}
}

// Longer says that the work takes longer than quick work does: it goes on in a slot for
// long work, for which it waits. False: there was none in time, and the work must end.
func (w *Work) Longer() bool {
	if w == nil || w.slots == w.budget.long {
		return true
	}
	<-w.slots
	w.slots = nil
	if !w.budget.enter(w.budget.long) {
		return false
	}
	w.slots, w.since = w.budget.long, time.Now()
	return true
}

// Busy is the error for work that got no slot, or has ended because Longer was false.
func (b *Budget) Busy() *event.Error {
	return event.Refuse(event.Overloaded, "The gateway checks as many events at once as it may, and this one has waited %s. Send it again shortly.", b.wait)
}

// Full is the error for work that has ended because Take was false.
func (b *Budget) Full() *event.Error {
	return event.Refuse(event.Overloaded, "The gateway holds as many bytes of requests as it may, %d. Send it again shortly.", b.limit)
}

// Long reports whether the work has a slot for long work. Without a budget it may take as
// long as it likes.
func (w *Work) Long() bool { return w == nil || w.slots == w.budget.long }

// Held is how many bytes have been taken.
func (w *Work) Held() int64 {
	if w == nil {
		return 0
	}
	return w.held
}

// Keep gives back what was taken beyond so many bytes.
func (w *Work) Keep(bytes int64) {
	if w != nil && w.held > bytes {
		w.give(w.held - bytes)
	}
}

// Take reserves n bytes until End and reports whether they fit. It may pause.
func (w *Work) Take(n int) bool {
	if w == nil {
		return true
	}
	b := w.budget
	most := b.most()
	if w.Long() {
		most -= b.share
	}
	b.working.Add(int64(n))
	if !b.take(int64(n), most, most) {
		b.working.Add(-int64(n))
		return false
	}
	w.held += int64(n)
	w.Pause()
	return true
}

// Pause makes room for quick work, while there is any: long work that has gone on for a
// turn sleeps for as long. Who does long work calls it often, up to some times in a turn.
func (w *Work) Pause() {
	if w == nil || !w.Long() {
		return
	}
	now := time.Now()
	if !w.budget.quickWork(now) {
		w.since = now
		return
	}
	if took := now.Sub(w.since); took >= turn {
		time.Sleep(min(took, longestPause))
		w.since = time.Now()
	}
}

// quickWork reports whether quick work has begun of late. Only long work looks at the
// clock for that.
func (b *Budget) quickWork(now time.Time) bool {
	if n := b.quickBegun.Load(); b.quickSeen.Swap(n) != n {
		b.quickAt.Store(now.UnixNano())
	}
	return now.UnixNano()-b.quickAt.Load() < int64(lull)
}

func (w *Work) give(n int64) {
	w.budget.Give(n)
	w.budget.working.Add(-n)
	w.held -= n
}

// End gives the slot and the bytes back. The Work must not be used afterwards.
func (w *Work) End() {
	if w == nil {
		return
	}
	if w.slots != nil {
		<-w.slots
	}
	if w.held > 0 {
		w.give(w.held)
	}
	*w = Work{}
	works.Put(w)
}
