package publish

import (
	"sync/atomic"
	"time"
)

const (
	// overdueParts is the resolution of the records' ages: an overdue record is
	// found within a sixteenth of the limit.
	overdueParts = 16
	// overdueSlots cover ages up to four times the limit, so that a process that was
	// paused finds what became overdue meanwhile.
	overdueSlots = 4 * overdueParts
)

// overdue tells whether a record has been waiting for its acknowledgement for
// too long. It counts waiting records by when they began: a timer for each
// took 7 % of the throughput (docs/adr/0011).
type overdue struct {
	born    time.Time
	part    time.Duration
	waiting [overdueSlots]atomic.Int64 // by when they began, in parts since born
}

func newOverdue(limit time.Duration) *overdue {
	return &overdue{born: time.Now(), part: max(limit/overdueParts, time.Millisecond)}
}

// begin notes that a record waits from now on. Its end is noted in the returned
// counter.
func (o *overdue) begin() *atomic.Int64 {
	slot := &o.waiting[o.now()%overdueSlots]
	slot.Add(1)
	return slot
}

func (o *overdue) now() int64 { return int64(time.Since(o.born) / o.part) }

// any reports whether a record has waited for the limit, or up to a sixteenth less.
func (o *overdue) any() bool {
	now := o.now()
	for age := int64(overdueParts); age < overdueSlots && age <= now; age++ {
		if o.waiting[(now-age)%overdueSlots].Load() > 0 {
			return true
		}
	}
	return false
}

// run calls late, once, when a record is overdue.
func (o *overdue) run(stop <-chan struct{}, late func()) {
	tick := time.NewTicker(o.part)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			if o.any() {
				late()
				return
			}
		}
	}
}
