package ingest

import (
	"context"
	"errors"

	"eventgateway/internal/event"
)

// Relayed is an event of a relay: of rows that wait elsewhere until they are published,
// and may be relayed by another gateway at the same time.
type Relayed struct {
	Request *Request // with an identity
	Plan    Plan     // as [Door.Plan] made it
}

// RelayRules are what a relay decides.
type RelayRules struct {
	// Confirm is called at most once, with the positions of the events whose claims are
	// held, before any of them is written. Those that do not wait are not written: their
	// claims are released, and the error of those that are gone wraps [ErrGone]. An error
	// is that of all.
	Confirm func(ctx context.Context, held []int) ([]Standing, error)
	// Continue says whether later events of an entity are written behind one with this
	// error.
	Continue func(*event.Error) bool
	// Unsettled says that claims of events that were written now are left as they are, for
	// the relay to settle ([BatchResult.Settlement]), or to let them expire.
	Unsettled bool
}

// Standing is whether an event still waits.
type Standing uint8

// An event waits, was published by somebody else, or cannot be told from either now.
const (
	Unclear Standing = iota
	Waits
	Gone
)

// ErrGone and ErrUnclear are what the error of an event wraps that does not wait any more, or
// of which that is not known.
var (
	ErrGone    = errors.New("it was published by another relay")
	ErrUnclear = errors.New("it does not show yet where it waits")
)

// Plan decides what to do with an event.
func (d *Door) Plan(req *Request) Plan {
	start := d.now()
	plan := NewPlan(d.catalog, req)
	d.metrics.parse.Observe(d.now().Sub(start).Seconds())
	return plan
}

// Relay takes events through the door, and returns what became of them in the order in
// which they were given. Events of one entity are written in this order; unless the rules
// say that it may go on, nothing is written behind one that was not accepted.
//
// First all events are claimed, with one call. Whoever publishes such an event removes it
// from where it waits only then, and makes its claim expire soon only after that. So an
// event that still waits once its claim is held was published by nobody
// (docs/adr/0026).
func (d *Door) Relay(ctx context.Context, events []Relayed, rules RelayRules) []BatchResult {
	items := make([]item, len(events))
	attempts := make([]*attempt, 0, len(events))
	byAttempt := make(map[*attempt]int, len(events))
	for i := range events {
		it := &items[i]
		it.door, it.req, it.plan, it.unsettled = d, events[i].Request, events[i].Plan, rules.Unsettled
		if it.plan.refused() {
			it.aside = func() { it.refuse(ctx) }
			continue
		}
		byAttempt[&it.attempt] = i
		attempts = append(attempts, &it.attempt)
	}
	r := relaying{door: d, rules: rules, items: items}
	var held []int
	for _, a := range d.claimAll(ctx, attempts, func(a *attempt, do func()) { items[byAttempt[a]].aside = do }) {
		held = append(held, byAttempt[a])
	}
	w := newWorkers(maxWorkers)
	r.confirm(ctx, held)
	r.write(ctx, w)
	w.all.Wait()
	results := make([]BatchResult, len(items))
	for i := range items {
		results[i] = BatchResult{Result: items[i].result, Err: items[i].err, Settlement: items[i].settlement}
	}
	return results
}

// relaying is one call of Relay.
type relaying struct {
	door  *Door
	rules RelayRules
	items []item
}

// confirm asks which of the events whose claims are held still wait.
func (r *relaying) confirm(ctx context.Context, held []int) {
	if len(held) == 0 {
		return
	}
	standings, err := r.rules.Confirm(ctx, held)
	for at, i := range held {
		it := &r.items[i]
		if it.err != nil { // a panic
			continue
		}
		cause := err
		if err == nil {
			it.held = standings[at] == Waits
			if cause = ErrUnclear; standings[at] == Gone {
				cause = ErrGone
			}
		}
		if !it.held {
			it.aside = func() {
				it.release()
				it.err = event.RefuseCause(event.HeldBack, cause, "It was relayed already, or the place where it waits does not show it.")
			}
		}
	}
}

// write writes the events that hold their claims: those of entities all of whose events do
// together, the others one entity beside the other.
func (r *relaying) write(ctx context.Context, w *workers) {
	var together []*item
	var follows []int
	inOrder := r.door.log.KeepsOrder()
	for _, q := range queuesOf(r.items) {
		if !q.held() || q.first.next != nil && !inOrder {
			w.run(func() { r.queue(ctx, q) })
			continue
		}
		before := -1
		for it := q.first; it != nil; it = it.next {
			together, follows = append(together, it), append(follows, before)
			before = len(together) - 1
		}
	}
	r.together(ctx, together, follows, w)
}

// held tells whether all events of the queue hold their claims.
func (q entityQueue) held() bool {
	for it := q.first; it != nil; it = it.next {
		if !it.held {
			return false
		}
	}
	return true
}

// together hands all records over before it waits for the first. Some follow others
// ([Log.PublishAll]).
func (r *relaying) together(ctx context.Context, items []*item, follows []int, w *workers) {
	if len(items) == 0 {
		return
	}
	records := make([]event.Record, 0, len(items))
	at := make([]int, len(items)) // of an item's record; -1: it has none
	order := make([]int, 0, len(items))
	late := false
	for i, it := range items {
		at[i] = -1
		before := -1
		if follows[i] >= 0 {
			if before = at[follows[i]]; before < 0 {
				continue
			}
		}
		guard(func() {
			if late = late || !it.prepare(); !late {
				at[i] = len(records)
				records, order = append(records, it.record), append(order, before)
			}
		}, &it.attempt)
	}
	var wait func(int) (event.Position, error)
	if len(records) > 0 {
		attempts := make([]*attempt, len(items))
		for i, it := range items {
			attempts[i] = &it.attempt
		}
		if !guard(func() { wait = r.door.log.PublishAll(ctx, records, order) }, attempts...) {
			return
		}
	}
	// Backwards: when the last is acknowledged most others are, and the goroutine sleeps
	// once instead of once for each.
	for i := len(items) - 1; i >= 0; i-- {
		it := items[i]
		guard(func() {
			switch {
			case it.err != nil: // a panic, which is counted
				return
			case at[i] < 0:
				w.run(it.finishing(it.refuseLate))
				return
			}
			it.wait = func() (event.Position, error) { return wait(at[i]) }
			receipt, err := it.acknowledged(ctx)
			if err != nil { // a release is waited for
				w.run(it.finishing(func() { it.end(event.Receipt{}, err) }))
				return
			}
			it.end(receipt, nil)
			it.finish()
		}, &it.attempt)
	}
}

// queuesOf sorts events into queues, each of one entity.
func queuesOf(items []item) []entityQueue {
	queues := make([]entityQueue, 0, len(items))
	last := make(map[queueKey]*item, len(items))
	for i := range items {
		it := &items[i]
		key := it.queueKey()
		if before := last[key]; before != nil {
			before.next = it
		} else {
			queues = append(queues, entityQueue{it})
		}
		last[key] = it
	}
	return queues
}

// queue takes the events of one entity one after the other; those that hold their claims
// and have no others between them together, if the log keeps their order.
func (r *relaying) queue(ctx context.Context, q entityQueue) {
	stopped := false
	inOrder := r.door.log.KeepsOrder()
	for it := q.first; it != nil; it = it.next {
		if !stopped && inOrder && it.held && it.next != nil && it.next.held {
			it, stopped = r.run(ctx, it)
			continue
		}
		guard(func() {
			switch {
			case it.err != nil: // a panic, which is counted
				return
			case stopped && it.held:
				r.door.settler.Release(it.claim) // not waited for: it is tried again later
				fallthrough
			case stopped:
				it.err = event.Refuse(event.HeldBack, "An earlier event of this entity was not accepted, so this one was held back to keep their order.")
			case it.held:
				it.publishClaimed(ctx)
			default:
				it.aside()
			}
			it.finish()
		}, &it.attempt)
		stopped = stopped || r.stops(it)
	}
}

// stops tells whether nothing may be written behind an event.
func (r *relaying) stops(it *item) bool {
	return it.err != nil && !r.rules.Continue(asError(it.err))
}

// run writes the events from first on that hold their claims. It returns the last of them.
func (r *relaying) run(ctx context.Context, first *item) (last *item, stopped bool) {
	var items []*item
	var follows []int
	for it := first; it != nil && it.held; it = it.next {
		follows = append(follows, len(items)-1)
		items = append(items, it)
	}
	w := newWorkers(maxWorkers)
	r.together(ctx, items, follows, w)
	w.all.Wait()
	for _, it := range items {
		stopped = stopped || r.stops(it)
	}
	return items[len(items)-1], stopped
}
