package ingest

import (
	"context"
	"math/rand/v2"
	"time"

	"eventgateway/internal/event"
)

// attempt is one event on its way through the door: each step leaves here what the
// next one needs.
type attempt struct {
	door *Door
	req  *Request
	plan Plan

	claim     event.Claim // what the store is asked for
	until     time.Time   // when the last record may be in flight under it; zero: see event.ClaimResult
	storeAway bool        // the store did not answer
	record    event.Record
	wait      func() (event.Position, error) // for the acknowledgement; nil: the record is not handed over

	// What became of it: err is nil or an *event.Error.
	result Result
	err    error

	unsettled  bool // a claim whose event was written is not settled, but returned
	settlement *event.Settlement
}

// Accept takes one event through the door and returns when its outcome is known,
// or known to be unknown. Errors are *event.Error.
func (d *Door) Accept(ctx context.Context, req Request) (Result, error) {
	own, _ := d.requests.Get().(*Request)
	*own = req
	var a attempt
	a.begin(d, own, nil)
	a.run(ctx)
	a.finish()
	*own = Request{}
	d.requests.Put(own)
	return a.result, a.err
}

// begin decides what to do with an event, and times that.
func (a *attempt) begin(d *Door, req *Request, within *event.Allowance) {
	start := d.now()
	a.door, a.req, a.plan = d, req, newPlan(d.catalog, req, within)
	d.metrics.parse.Observe(d.now().Sub(start).Seconds())
}

// run does as the plan says.
func (a *attempt) run(ctx context.Context) {
	switch {
	case a.plan.refused():
		a.refuse(ctx)
	case a.req.Identity.IsZero():
		a.publishUnkeyed(ctx)
	default:
		a.publishOnce(ctx)
	}
}

// finish counts what became of the event.
func (a *attempt) finish() {
	m := a.door.metrics
	switch {
	case a.err != nil && a.plan.DeadLetter:
		a.fail("", a.err)
	case a.err != nil:
		a.fail(a.plan.eventType(), a.err)
	case a.plan.DeadLetter:
		m.deadLetters.Inc()
	case a.plan.Definition == nil: // a replay: the type existed when the event was written
		m.accepted(a.req.Type, a.result)
	default:
		m.accepted(a.plan.eventType(), a.result)
	}
}

// fail ends the attempt with an error, and counts it.
func (a *attempt) fail(eventType string, err error) {
	e := asError(err)
	a.door.metrics.refused(eventType, e)
	a.result, a.err = Result{}, e
}

// invalidLookTimeout bounds how long a refusal waits for the store: most invalid
// events never were valid.
const invalidLookTimeout = 500 * time.Millisecond

// refuse answers an event that is not to be written. If it is keyed and was
// written before its schema changed, the retry gets its receipt.
func (a *attempt) refuse(ctx context.Context) {
	a.err = a.plan.Problem
	if a.req.Identity.IsZero() || !mayHaveBeenValid(a.plan.Problem.Kind) {
		return
	}
	looking, cancel := context.WithTimeout(ctx, min(a.door.cfg.ClaimTimeout, invalidLookTimeout))
	defer cancel()
	found, err := a.door.claims.Look(looking, a.plan.ClaimID, fingerprint(a.req))
	if err == nil && found.State == event.Settled {
		a.result, a.err = a.resultOf(ctx, found)
	}
}

// mayHaveBeenValid tells whether a change of schemas can explain the problem.
func mayHaveBeenValid(kind event.Kind) bool {
	switch kind {
	case event.SchemaViolation, event.KeyMissing, event.UnknownEventType, event.MethodNotAllowed:
		return true
	}
	return false
}

// publishUnkeyed publishes an event without identity.
func (a *attempt) publishUnkeyed(ctx context.Context) {
	place, err := a.door.log.Place(a.plan.Topic, keyBytes(a.plan.Key), rand.Uint64()) //nolint:gosec // spreads load, guards nothing
	if err != nil {
		a.err = err
		return
	}
	a.record = a.newRecord(place, nil)
	a.result.Receipt, a.err = a.acknowledged(ctx)
}
