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
	rows  []*Row // in order
	bytes int
	busy  map[int64]struct{} // rows that are being published
	// entities that rows are being published of, or have to wait for.
	active map[string]int
	waits  map[string]*pause
}

// pause is how long an entity, or a row without one, waits for another try.
type pause struct {
	until    time.Time
	schedule *backoff.Exponential
}

func newBacklog() *backlog {
	return &backlog{busy: map[int64]struct{}{}, active: map[string]int{}, waits: map[string]*pause{}}
}

func (b *backlog) add(rows []*Row) {
	b.rows = append(b.rows, rows...)
	for _, r := range rows {
		b.bytes += r.size()
	}
}

func (b *backlog) full() bool { return len(b.rows) >= backlogRows || b.bytes >= backlogBytes }

// pick returns rows to be published now, at most so many and about so many bytes. Rows of
// an entity that is being published, or waits, stay.
func (b *backlog) pick(now time.Time, most, mostBytes int) []*Row {
	var picked []*Row
	bytes := 0
	skipped := map[string]bool{}
	for _, r := range b.rows {
		if len(picked) == most || bytes >= mostBytes {
			break
		}
		if _, busy := b.busy[r.Seq]; busy {
			continue
		}
		key := r.order
		if skipped[key] {
			continue
		}
		if w := b.waits[key]; b.active[key] > 0 || w != nil && now.Before(w.until) {
			skipped[key] = true
			continue
		}
		picked = append(picked, r)
		bytes += r.size()
	}
	for _, r := range picked {
		b.busy[r.Seq] = struct{}{}
		b.active[r.order]++
	}
	return picked
}

// published ends the publishing of rows. Those that are not done stay, to be tried again.
func (b *backlog) published(rows []*Row, done map[int64]bool, retryAfter map[int64]time.Duration, now time.Time) {
	for _, r := range rows {
		delete(b.busy, r.Seq)
		key := r.order
		if b.active[key]--; b.active[key] == 0 {
			delete(b.active, key)
		}
		if done[r.Seq] {
			b.bytes -= r.size()
			delete(b.waits, key)
		}
	}
	for _, r := range rows {
		after, failed := retryAfter[r.Seq]
		if !failed {
			continue
		}
		w := b.waits[r.order]
		if w == nil {
			w = &pause{schedule: backoff.NewExponential(firstPause, longestPause)}
			b.waits[r.order] = w
		}
		w.until = now.Add(max(after, w.schedule.Next()))
	}
	b.rows = slices.DeleteFunc(b.rows, func(r *Row) bool { return done[r.Seq] })
}

// next is when a row that waits is to be tried; false if none waits.
func (b *backlog) next() (at time.Time, ok bool) {
	for key, w := range b.waits {
		if b.active[key] == 0 && (!ok || w.until.Before(at)) {
			at, ok = w.until, true
		}
	}
	return at, ok
}

// keep keeps the rows that a function returns, of those that are not being published.
func (b *backlog) keep(choose func([]*Row) []*Row) {
	var idle []*Row
	for _, r := range b.rows {
		if _, busy := b.busy[r.Seq]; !busy {
			idle = append(idle, r)
		}
	}
	kept := map[int64]struct{}{}
	for _, r := range choose(idle) {
		kept[r.Seq] = struct{}{}
	}
	b.rows = slices.DeleteFunc(b.rows, func(r *Row) bool {
		_, keep := kept[r.Seq]
		_, busy := b.busy[r.Seq]
		if keep || busy {
			return false
		}
		b.bytes -= r.size()
		delete(b.waits, r.order)
		return true
	})
}
