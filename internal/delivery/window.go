package delivery

import (
	"context"
	"time"

	"eventgateway/internal/kafka"
)

// entryState is where a record is on its way.
type entryState uint8

const (
	stateQueued   entryState = iota // behind another record of its entity
	stateReady                      // the first of its entity; its first attempt may begin
	stateInFlight                   // an attempt is on
	stateWaiting                    // for its next attempt
	stateDying                      // its dead letter is being written
	stateHeld                       // its dead letter is written, and its entity held back
	stateFinished
)

// entry is an admitted record.
type entry struct {
	record   *kafka.Record
	part     *window
	entity   *entity // nil: it has none, and no record waits for it
	state    entryState
	slot     bool // it counts as failing
	attempts int  // that failed
	first    time.Time
	// since is when Retry.Total began: at the first failure, and anew when a gateway takes
	// the partition over, the breaker closes or a pause ends. Nobody tried until then.
	since  time.Time
	due    time.Time // of the next attempt, while waiting
	noted  uint64    // commits that had begun when it failed last: the next one says so
	reason deadReason
}

// entity is the records of one key that are admitted and unfinished, in order.
type entity struct {
	key   string
	queue []*entry
}

// window is a partition's records from the first unfinished one on. It is for one
// goroutine.
//
// Invariants:
//   - entries are in the order of offsets, and the first is unfinished;
//   - of an entity, only the first entry is attempted;
//   - the span of offsets is below maxSpan, and at most maxFailing entries have slots, so
//     that what commit returns is never too large.
type window struct {
	part       kafka.Partition
	next       int64 // the offset after the newest record that came
	entries    []*entry
	keyed      map[string]*entity // nil: records are independent
	fresh      []*entry           // ready for their first attempt
	retries    []*entry           // ready for another one
	slots      int                // in use
	unfinished int
	bytes      int64
	restored   []int64         // finished before this member had the partition, and not come again yet
	failed     []failure       // likewise, failed; each has a slot
	backlog    []*kafka.Record // came, and are not admitted yet
	paused     bool            // fetching is
	dirty      bool            // there is something to commit
	told       int64           // no entry behind this offset is finished or has failed
	inFlight   int
	lost       bool            // it belongs to another member
	closing    bool            // no attempt begins any more
	ctx        context.Context // ends when the partition is given up: it bounds the attempts, and is no caller's
	stop       func()
}

// newWindow continues where a commit ended; ordered keeps the order of each entity.
func newWindow(part kafka.Partition, p progress, ordered bool) *window {
	w := &window{
		part: part, next: p.base, ctx: context.Background(), stop: func() {},
		restored: p.finished, failed: p.failures, slots: len(p.failures), told: -1,
	}
	if ordered {
		w.keyed = map[string]*entity{}
	}
	return w
}

// base is the offset to commit: of the first unfinished record, or after the last one.
func (w *window) base() int64 {
	if len(w.entries) > 0 {
		return w.entries[0].record.Offset
	}
	return w.next
}

// fits reports whether a record may be admitted.
func (w *window) fits(offset int64) bool {
	return len(w.entries) == 0 || offset-w.base() < maxSpan
}

// stuck reports whether the window takes no more records, and its first one is what
// everything waits for.
func (w *window) stuck() bool {
	return len(w.entries) > 0 && len(w.backlog) > 0 && len(w.fresh) == 0
}

// crowded reports whether fresh records cannot be attempted because so many others have
// failed. Records in flight have slots as well, and give them back soon.
func (w *window) crowded() bool {
	return len(w.fresh) > 0 && w.slots >= maxFailing && w.slots-w.inFlight >= maxFailing/2
}

// oldestFailing is the first record that waits for another attempt, is held, or becomes
// a dead letter.
func (w *window) oldestFailing() *entry {
	for _, e := range w.entries {
		if e.state == stateWaiting || e.state == stateHeld || e.state == stateDying {
			return e
		}
	}
	return nil
}

// skip passes a record that is not to be delivered.
func (w *window) skip(r *kafka.Record) {
	w.remembered(r.Offset)
	w.next = r.Offset + 1
	w.dirty = true
}

// remembered is what the commit that this member began with says of a record. What it
// says of offsets before it is forgotten: Kafka has no such records any more.
func (w *window) remembered(offset int64) (finished bool, failed *failure) {
	for len(w.restored) > 0 && w.restored[0] <= offset {
		finished = w.restored[0] == offset
		w.restored = w.restored[1:]
	}
	for len(w.failed) > 0 && w.failed[0].offset <= offset {
		failed = nil
		if w.failed[0].offset == offset {
			failed = &w.failed[0]
		}
		w.failed = w.failed[1:]
		w.slots--
	}
	return finished, failed
}

// admit takes the next record in. It returns nil if the record was finished before.
func (w *window) admit(r *kafka.Record) *entry {
	finished, failed := w.remembered(r.Offset)
	w.next = r.Offset + 1
	w.dirty = true
	if finished {
		if len(w.entries) > 0 { // an entry, so that commits go on saying that it is finished
			w.entries = append(w.entries, &entry{record: stripped(r), part: w, state: stateFinished})
			w.told = r.Offset
		}
		return nil
	}
	e := &entry{record: r, part: w, state: stateReady}
	if failed != nil {
		e.attempts, e.first = failed.attempts, failed.first
		e.slot = true
		w.slots++
		w.told = r.Offset
	}
	w.entries = append(w.entries, e)
	w.unfinished++
	w.bytes += recordBytes(r)
	if w.keyed != nil && r.Key != nil {
		own, ok := w.keyed[string(r.Key)]
		if !ok {
			own = &entity{key: string(r.Key)}
			w.keyed[own.key] = own
		}
		e.entity = own
		own.queue = append(own.queue, e)
		if len(own.queue) > 1 {
			e.state = stateQueued
			return e
		}
	}
	w.makeReady(e)
	return e
}

// makeReady lets the first attempt of an entry that is first of its entity begin; an
// entry that failed before goes before others, and one that is held stays so.
func (w *window) makeReady(e *entry) {
	switch {
	case e.attempts == heldAttempts:
		e.state = stateHeld
	case e.slot:
		e.state = stateReady
		w.retries = append(w.retries, e)
	default:
		e.state = stateReady
		w.fresh = append(w.fresh, e)
	}
}

// take returns the next entry to attempt, nil if there is none now: one that failed
// before others, unless it is the turn of the others.
func (w *window) take(freshFirst bool) *entry {
	var e *entry
	fresh := len(w.fresh) > 0 && w.slots < maxFailing
	switch {
	case len(w.retries) > 0 && (!freshFirst || !fresh):
		e, w.retries = w.retries[0], w.retries[1:]
	case fresh:
		e, w.fresh = w.fresh[0], w.fresh[1:]
		e.slot = true
		w.slots++
	default:
		return nil
	}
	e.state = stateInFlight
	w.inFlight++
	return e
}

// back returns an entry whose attempt does not count, as the next one.
func (w *window) back(e *entry) {
	e.state = stateReady
	if e.attempts > 0 {
		w.retries = append([]*entry{e}, w.retries...)
		return
	}
	e.slot = false
	w.slots--
	w.fresh = append([]*entry{e}, w.fresh...)
}

// rotate returns an entry whose failed attempt does not count, behind the others.
func (w *window) rotate(e *entry) {
	e.state = stateReady
	if e.attempts > 0 {
		w.retries = append(w.retries, e)
		return
	}
	e.slot = false
	w.slots--
	w.fresh = append(w.fresh, e)
}

// fail notes a failed attempt that counts.
func (w *window) fail(e *entry, now time.Time) {
	if e.attempts == 0 {
		e.first = now.Truncate(time.Second)
	}
	if e.since.IsZero() {
		e.since = now
	}
	e.attempts = min(e.attempts+1, maxAttempts)
	w.told = max(w.told, e.record.Offset)
	w.dirty = true
}

// finish ends an entry: nothing of it remains to be done. The next of its entity becomes
// ready.
func (w *window) finish(e *entry) {
	if e.state == stateFinished {
		return
	}
	e.state = stateFinished
	w.told = max(w.told, e.record.Offset)
	w.unfinished--
	w.bytes -= recordBytes(e.record)
	e.record = stripped(e.record)
	if e.slot {
		e.slot = false
		w.slots--
	}
	if own := e.entity; own != nil {
		e.entity = nil
		own.queue[0] = nil
		own.queue = own.queue[1:]
		if len(own.queue) == 0 {
			delete(w.keyed, own.key)
		} else {
			w.makeReady(own.queue[0])
		}
	}
	w.dirty = true
	done := 0
	for done < len(w.entries) && w.entries[done].state == stateFinished {
		w.entries[done] = nil
		done++
	}
	w.entries = w.entries[done:]
}

// progress is what to commit now.
func (w *window) progress() progress {
	p := progress{base: w.base()}
	for _, e := range w.entries {
		if e.record.Offset > w.told { // most of a window that is behind
			break
		}
		switch {
		case e.state == stateFinished:
			p.finished = append(p.finished, e.record.Offset)
		case e.attempts > 0:
			p.failures = append(p.failures, failure{offset: e.record.Offset, attempts: e.attempts, first: e.first})
		}
	}
	// What was restored and has not come again yet.
	p.finished = append(p.finished, w.restored...)
	p.failures = append(p.failures, w.failed...)
	return p
}

// oldest is when the first unfinished record was written; zero if there is none.
func (w *window) oldest() time.Time {
	if len(w.entries) > 0 {
		return w.entries[0].record.Timestamp
	}
	if len(w.backlog) > 0 {
		return w.backlog[0].Timestamp
	}
	return time.Time{}
}

// stripped is what a finished record leaves: its place and its time.
func stripped(r *kafka.Record) *kafka.Record {
	return &kafka.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp}
}

// recordBytes is about what a record takes in memory.
func recordBytes(r *kafka.Record) int64 {
	n := len(r.Key) + len(r.Value) + 256
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value) + 40
	}
	return int64(n)
}
