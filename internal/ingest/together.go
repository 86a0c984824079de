package ingest

import (
	"context"
	"fmt"
	"runtime/debug"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

// Events that nothing waits behind go through the protocol together: one call
// claims for all of them, and all records are handed over before the first is waited
// for. That saves each a goroutine and its hand-offs to others. The steps are those of
// a single event; what leaves the usual way (a claim that is not simply won, a
// topic that is not there, a record that was not acknowledged) goes on by itself.

// flight is an event of those that go together.
type flight struct {
	*item
	claim  *event.Claim
	record event.Record
	wait   func() (event.Position, error)
}

// simple tells whether an event can go together with others.
func (it *item) simple() bool { return it.invalid == nil && !it.req.Identity.IsZero() }

// enterTogether takes events through the door. What may take long is left to run.
func (d *Door) enterTogether(ctx context.Context, items []*item, run func(func())) {
	if len(items) == 0 {
		return
	}
	var rest []func()
	flights := d.claimTogether(ctx, items, func(do func()) { rest = append(rest, do) })
	for i := range flights {
		f := &flights[i]
		d.guard(f.item, func() { d.hand(ctx, f, func(do func()) { rest = append(rest, do) }) })
	}
	for _, do := range rest {
		run(do)
	}
	// Backwards: when the last is acknowledged most others are, and the goroutine
	// sleeps once instead of for each.
	for i := range flights {
		if f := &flights[len(flights)-1-i]; f.wait != nil {
			d.guard(f.item, func() { d.land(f, run) })
		}
	}
}

// claimTogether returns the events whose claims were won. The others go on in later.
func (d *Door) claimTogether(ctx context.Context, items []*item, later func(func())) []flight {
	flights := make([]flight, 0, len(items))
	claims := make([]event.Claim, 0, len(items)) // it never grows: flights point into it
	begun := d.now()
	for _, it := range items {
		d.guard(it, func() {
			claim, err := d.claimOf(it.req, it.checked, begun)
			if err != nil {
				id, unplaced := claim.ID, err // not the whole claim: what later keeps is on the heap
				later(func() {
					d.finish(it, func() (Result, error) { return d.refuseUnplaced(ctx, it.req, id, unplaced) })
				})
				return
			}
			claims = append(claims, claim)
			flights = append(flights, flight{item: it, claim: &claims[len(claims)-1]})
		})
	}
	if len(claims) == 0 {
		return nil
	}
	standings, errs, ok := d.claimAll(ctx, flights, claims)
	if !ok {
		return nil
	}
	now := d.now()
	won := flights[:0]
	for i := range flights {
		d.metrics.claim.Observe(now.Sub(begun).Seconds())
		if errs[i] == nil && standings[i].State == event.Claimed {
			won = append(won, flights[i])
			continue
		}
		f := flights[i] // its place is taken by one that was won
		later(func() {
			d.finish(f.item, func() (Result, error) { return d.proceed(ctx, f.req, f.checked, *f.claim, standings[i], errs[i]) })
		})
	}
	return won
}

// claimAll asks for all claims. If that panics, all events end.
func (d *Door) claimAll(ctx context.Context, flights []flight, claims []event.Claim) (standings []event.ClaimResult, errs []error, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			for _, f := range flights {
				d.panicked(f.item, p)
			}
		}
	}()
	standings, errs = d.claims.ClaimAll(ctx, claims)
	return standings, errs, true
}

// hand hands over the record of a claim that was won.
func (d *Door) hand(ctx context.Context, f *flight, later func(func())) {
	failpoint.At(failpoint.Claimed)
	f.record = d.record(f.req, f.checked, f.claim.Placement, f.claim, d.now())
	if d.tooLate(f.record, *f.claim) {
		later(func() {
			d.finish(f.item, func() (Result, error) { return d.publishClaimed(ctx, f.record, *f.claim) })
		})
		return
	}
	failpoint.At(failpoint.Publishing)
	f.wait = d.log.PublishAsync(ctx, f.record)
}

// land waits for a record that was handed over, and ends its claim.
func (d *Door) land(f *flight, later func(func())) {
	at, err := f.wait()
	receipt, err := d.published(f.record, at, err)
	if err != nil { // a release is waited for
		failed := err
		later(func() {
			d.finish(f.item, func() (Result, error) { return d.end(*f.claim, event.Receipt{}, failed) })
		})
		return
	}
	result, err := d.end(*f.claim, receipt, nil)
	f.answer.Result, f.answer.Err = d.tell(f.checked, result, err)
}

// finish answers an event with what do says, and counts it.
func (d *Door) finish(it *item, do func() (Result, error)) {
	d.guard(it, func() {
		result, err := do()
		it.answer.Result, it.answer.Err = d.tell(it.checked, result, err)
	})
}

// guard lets a panic end the event, not the process nor the events beside it.
func (d *Door) guard(it *item, do func()) {
	defer func() {
		if p := recover(); p != nil {
			d.panicked(it, p)
		}
	}()
	do()
}

func (d *Door) panicked(it *item, p any) {
	*it.answer = Answer{Err: d.count(label(it.checked), event.Failure(fmt.Errorf("panic: %v\n%s", p, debug.Stack())))}
}
