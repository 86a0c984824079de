package ingest

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

// maxWorkers bounds the goroutines of one batch. Their events wait for the store and
// the log together, so more would gain little.
const maxWorkers = 128

// BatchResult is what became of one event of a batch: Err is an *event.Error or nil.
type BatchResult struct {
	Result Result
	Err    error
	// Settlement is what is left to be done with the claim of an event that was written, if
	// [RelayRules] say so.
	Settlement *event.Settlement
}

// AcceptBatch takes events through the door, each on its own, and returns what
// became of them in the order of the requests. Events of one entity are written one
// after the other; when one fails, those behind it are held back. Events of different
// entities do not wait for each other.
//
// Independent events take the steps together, without a goroutine each. Every other
// queue runs on a worker.
func (d *Door) AcceptBatch(ctx context.Context, reqs []Request) []BatchResult {
	items := make([]item, len(reqs))
	d.planAll(items, reqs)
	independent, queues := sortByEntity(items)
	w := newWorkers(maxWorkers)
	if len(queues) > 0 {
		w.all.Go(func() {
			for _, q := range queues {
				w.run(func() { q.run(ctx) })
			}
		})
	}
	d.pipeline(ctx, independent, w)
	w.all.Wait()
	results := make([]BatchResult, len(items))
	for i := range items {
		results[i] = BatchResult{Result: items[i].result, Err: items[i].err}
	}
	return results
}

// planAll decides what to do with each event, in one turn. When the gateway has no room to
// check one of them, its entity is not known, and an event behind it could overtake it: so
// none behind it is tried.
func (d *Door) planAll(items []item, reqs []Request) {
	bytes := 0
	for i := range reqs {
		bytes += len(reqs[i].Data)
	}
	within, err := d.catalog.Together(bytes)
	if err != nil {
		refuseAll(d, items, reqs, asError(err))
		return
	}
	defer within.Slot.End()
	for i := range reqs {
		items[i].begin(d, &reqs[i], within)
		if problem := items[i].plan.Problem; problem != nil && problem.Kind == event.Overloaded {
			refuseAll(d, items[i+1:], reqs[i+1:], event.Refuse(event.Overloaded,
				"An earlier event of the batch could not be checked, because the gateway has too much to do, so this one was not tried."))
			return
		}
	}
}

func refuseAll(d *Door, items []item, reqs []Request, problem *event.Error) {
	for i := range items {
		items[i].door, items[i].req, items[i].plan.Problem = d, &reqs[i], problem
	}
}

// item is one event of a batch, and the one behind it in its queue.
type item struct {
	attempt
	next *item
	// Of an event that is relayed (relay.go): does it hold its claim, and if it does not, how
	// it goes on.
	held  bool
	aside func()
}

// entityQueue is the events of one entity, in the order of the batch.
type entityQueue struct{ first *item }

// queueKey names what an event must stay in order with: its entity, else, without a
// topic, whatever has its identity. The zero key: nothing, it has its queue alone.
type queueKey struct{ topic, key string }

func (it *item) queueKey() queueKey {
	if it.plan.entity != nil {
		return queueKey{it.plan.Definition.Topic, *it.plan.entity}
	}
	if !it.req.Identity.IsZero() {
		return queueKey{"", string(it.plan.ClaimID[:])}
	}
	return queueKey{}
}

// sortByEntity sorts the events of a batch into their queues. It returns separately
// those that are alone in their queue, valid, and have an identity.
func sortByEntity(items []item) (independent []*attempt, queues []entityQueue) {
	all := make([]entityQueue, 0, len(items))
	last := make(map[queueKey]*item, len(items))
	for i := range items {
		it := &items[i]
		key := it.queueKey()
		if before := last[key]; before != nil && key != (queueKey{}) {
			before.next = it
		} else {
			all = append(all, entityQueue{it})
		}
		last[key] = it
	}
	independent = make([]*attempt, 0, len(all))
	queues = all[:0]
	for _, q := range all {
		if it := q.first; it.next == nil && it.plan.Problem == nil && !it.req.Identity.IsZero() {
			independent = append(independent, &it.attempt)
		} else {
			queues = append(queues, q)
		}
	}
	return independent, queues
}

// run takes the events of a queue through the door, one after the other.
func (q entityQueue) run(ctx context.Context) {
	failed := false
	for it := q.first; it != nil; it = it.next {
		a := &it.attempt
		if failed && a.plan.entity != nil {
			a.fail(a.plan.eventType(), event.Refuse(event.HeldBack,
				"An earlier event of the entity %q in this batch was not accepted, so this one was held back to keep their order. Nothing was written; send it again behind the other.", *a.plan.entity))
			continue
		}
		guard(func() {
			a.run(ctx)
			a.finish()
		}, a)
		failed = failed || a.err != nil
	}
}

// pipeline takes independent events through the steps of keyed.go together: one call
// claims for all of them, and all records are handed over before the first is waited
// for. An event that cannot take the next step is finished by a worker.
func (d *Door) pipeline(ctx context.Context, attempts []*attempt, w *workers) {
	if len(attempts) == 0 {
		return
	}
	var aside []func()
	later := func(a *attempt, do func()) { aside = append(aside, a.finishing(do)) }
	held := d.claimAll(ctx, attempts, later)
	for _, a := range held {
		guard(func() {
			failpoint.At(failpoint.Claimed)
			if a.prepare() {
				a.send(ctx)
			} else {
				later(a, a.refuseLate)
			}
		}, a)
	}
	for _, do := range aside { // not before: it may wait for a worker
		w.run(do)
	}
	// Backwards: when the last is acknowledged most others are, and the goroutine
	// sleeps once instead of once for each.
	for _, a := range slices.Backward(held) {
		if a.wait == nil {
			continue
		}
		guard(func() {
			receipt, err := a.acknowledged(ctx)
			if err != nil { // a release is waited for
				w.run(a.finishing(func() { a.end(event.Receipt{}, err) }))
				return
			}
			a.end(receipt, nil)
			a.finish()
		}, a)
	}
}

// claimAll returns the attempts that hold their claims now. The others go on later.
func (d *Door) claimAll(ctx context.Context, attempts []*attempt, later func(*attempt, func())) (held []*attempt) {
	placed := make([]*attempt, 0, len(attempts))
	claims := make([]event.Claim, 0, len(attempts))
	begun := d.now()
	for _, a := range attempts {
		guard(func() {
			if err := a.place(begun); err != nil {
				later(a, func() { a.answerUnplaced(ctx, err) })
				return
			}
			placed, claims = append(placed, a), append(claims, a.claim)
		}, a)
	}
	if len(placed) == 0 {
		return nil
	}
	var found []event.ClaimResult
	var errs []error
	if !guard(func() { found, errs = d.claims.ClaimAll(ctx, claims) }, placed...) {
		return nil
	}
	took := d.now().Sub(begun).Seconds()
	held = placed[:0]
	for i, a := range placed {
		d.metrics.claim.Observe(took)
		if holds(found[i], errs[i]) {
			a.until = found[i].Until
			held = append(held, a)
		} else {
			later(a, func() { a.withoutClaim(ctx, found[i], errs[i]) })
		}
	}
	return held
}

// finishing returns a function that takes the attempt to its end.
func (a *attempt) finishing(do func()) func() {
	return func() {
		guard(func() {
			do()
			a.finish()
		}, a)
	}
}

// guard lets a panic fail the events concerned, not the process nor the events beside
// them. It reports whether there was none.
func guard(do func(), concerned ...*attempt) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			for _, a := range concerned {
				a.fail(a.plan.eventType(), event.Failure(fmt.Errorf("panic: %v\n%s", p, debug.Stack())))
			}
		}
	}()
	do()
	return true
}

// workers run functions concurrently, up to a limit.
type workers struct {
	free chan struct{}
	all  sync.WaitGroup
}

func newWorkers(most int) *workers { return &workers{free: make(chan struct{}, most)} }

// run waits for a free worker.
func (w *workers) run(do func()) {
	w.free <- struct{}{}
	w.all.Go(func() {
		defer func() { <-w.free }()
		do()
	})
}
