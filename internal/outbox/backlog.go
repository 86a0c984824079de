package outbox

import (
	"slices"
	"time"

	"eventgateway/internal/backoff"
)

const (
	// backlogRows and backlogBytes are from where on nothing more is read: what is being
	// published, what waits for another try, and what was read beyond that.
	backlogRows  = 4000
	backlogBytes = 32 << 20
	// A row that could not be published is tried again after a pause that doubles from the
	// one to the other.
	firstPause, longestPause = 100 * time.Millisecond, 10 * time.Second
)

// backlog holds the rows that were read and are not finished, in the order in which they
// were read. It belongs to the publisher.
type backlog struct {
	rows     []*Row // in order
	bytes    int
	entities map[string]*entity // those of the rows, by what they are kept in order with
	waiting  map[*entity]struct{}
	picks    int
}

// entity is what rows are kept in order with: an entity, or a row alone.
type entity struct {
	rows    int // in the backlog
	busy    int // that are being published
	wait    *pause
	skipped int // the pick in which its other rows stay
}

// pause is how long an entity waits for another try.
type pause struct {
	until    time.Time
	schedule *backoff.Exponential
}

func newBacklog() *backlog {
	return &backlog{entities: map[string]*entity{}, waiting: map[*entity]struct{}{}}
}

func (b *backlog) add(rows []*Row) {
	b.rows = append(b.rows, rows...)
	for _, r := range rows {
		b.bytes += r.size()
		e := b.entities[r.order]
		if e == nil {
			e = new(entity)
			b.entities[r.order] = e
		}
		e.rows++
		r.of, r.busy = e, false
	}
}

// remove takes off the rows of which that is said.
func (b *backlog) remove(gone func(*Row) bool) {
	b.rows = slices.DeleteFunc(b.rows, func(r *Row) bool {
		if !gone(r) {
			return false
		}
		b.bytes -= r.size()
		if r.of.rows--; r.of.rows == 0 {
			delete(b.entities, r.order)
			delete(b.waiting, r.of)
		}
		return true
	})
}

func (b *backlog) full() bool { return len(b.rows) >= backlogRows || b.bytes >= backlogBytes }

// pick returns rows to be published now, at most so many and about so many bytes. Rows of
// an entity that is being published, or waits, stay. Of one that is tried again the first
// row is tried alone: Kafka refuses whole batches, and it may be the one that it does not take.
func (b *backlog) pick(now time.Time, most, mostBytes int) []*Row {
	var picked []*Row
	bytes := 0
	b.picks++
	for _, r := range b.rows {
		if len(picked) == most || bytes >= mostBytes {
			break
		}
		e := r.of
		if r.busy || e.skipped == b.picks {
			continue
		}
		if e.busy > 0 || e.wait != nil && now.Before(e.wait.until) {
			e.skipped = b.picks
			continue
		}
		if e.wait != nil {
			e.skipped = b.picks
		}
		picked = append(picked, r)
		bytes += r.size()
	}
	for _, r := range picked {
		r.busy = true
		r.of.busy++
	}
	return picked
}

// published ends the publishing of rows. Those that are not done stay, to be tried again.
func (b *backlog) published(rows []*Row, done map[int64]bool, retryAfter map[int64]time.Duration, now time.Time) {
	for _, r := range rows {
		r.busy = false
		r.of.busy--
		if done[r.Seq] {
			r.of.wait = nil
			delete(b.waiting, r.of)
		}
	}
	for _, r := range rows {
		after, failed := retryAfter[r.Seq]
		if !failed {
			continue
		}
		if r.of.wait == nil {
			r.of.wait = &pause{schedule: backoff.NewExponential(firstPause, longestPause)}
			b.waiting[r.of] = struct{}{}
		}
		r.of.wait.until = now.Add(max(after, r.of.wait.schedule.Next()))
	}
	b.remove(func(r *Row) bool { return !r.busy && done[r.Seq] })
}

// next is when a row that waits is to be tried; false if none waits.
func (b *backlog) next() (at time.Time, ok bool) {
	for e := range b.waiting {
		if e.busy == 0 && (!ok || e.wait.until.Before(at)) {
			at, ok = e.wait.until, true
		}
	}
	return at, ok
}

// keep keeps the rows that a function returns, of those that are not being published.
func (b *backlog) keep(choose func([]*Row) []*Row) {
	var idle []*Row
	for _, r := range b.rows {
		if !r.busy {
			idle = append(idle, r)
		}
	}
	kept := map[int64]struct{}{}
	for _, r := range choose(idle) {
		kept[r.Seq] = struct{}{}
	}
	b.remove(func(r *Row) bool {
		_, keep := kept[r.Seq]
		return !keep && !r.busy
	})
}
