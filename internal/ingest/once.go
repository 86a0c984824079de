package ingest

import (
	"context"
	"errors"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

// deliverySlack is how much later than its delivery time-out a record may still
// leave: giving a producer up takes a moment, and a busy machine more.
const deliverySlack = 1500 * time.Millisecond

// acceptOnce publishes an event that has an identity: design section 7.
func (d *Door) acceptOnce(ctx context.Context, req *Request, checked event.Checked) (Result, error) {
	claim, err := d.claimOf(req, checked, d.now())
	if err != nil {
		return d.refuseUnplaced(ctx, req, claim.ID, err)
	}
	standing, err := d.claims.Claim(ctx, claim)
	d.metrics.claim.Observe(d.now().Sub(claim.Begun).Seconds())
	return d.proceed(ctx, req, checked, claim, standing, err)
}

// claimOf is what to claim for an event now. An error says that its topic cannot be
// written to.
func (d *Door) claimOf(req *Request, checked event.Checked, now time.Time) (event.Claim, error) {
	id := req.Identity.ClaimID(req.Client)
	place, err := d.log.Place(checked.Definition.Topic, keyBytes(checked.Key), spreadOf(id))
	if err != nil {
		return event.Claim{ID: id}, err
	}
	return event.Claim{
		ID: id, Fingerprint: fingerprint(req), Token: d.tokens.next(), Placement: place, Begun: now,
	}, nil
}

// proceed goes on from what the store said of a claim.
func (d *Door) proceed(ctx context.Context, req *Request, checked event.Checked, claim event.Claim, standing event.ClaimResult, err error) (Result, error) {
	if err != nil {
		return d.withoutStore(ctx, req, checked, claim.Placement, claim, err)
	}
	switch standing.State {
	case event.Claimed:
		failpoint.At(failpoint.Claimed)
		return d.publishClaimed(ctx, d.record(req, checked, claim.Placement, &claim, d.now()), claim)
	case event.Abandoned:
		return d.resume(ctx, req, checked, claim, standing.Abandoned)
	default:
		return answerStanding(standing)
	}
}

// publishClaimed publishes under a claim that stands, and ends the claim.
func (d *Door) publishClaimed(ctx context.Context, record event.Record, claim event.Claim) (Result, error) {
	if d.tooLate(record, claim) {
		d.endUnwritten(claim)
		return Result{}, event.Refuse(event.Overloaded,
			"The idempotency store took too long to leave time for a safe write. Nothing was written; send it again.")
	}
	failpoint.At(failpoint.Publishing)
	receipt, err := d.publish(ctx, record)
	return d.end(claim, receipt, err)
}

// tooLate tells whether too little of the lease is left for a whole delivery.
func (d *Door) tooLate(record event.Record, claim event.Claim) bool {
	return d.cfg.Lease-record.Timestamp.Sub(claim.Begun) < d.cfg.DeliveryTimeout+deliverySlack
}

// end ends a claim as its record ended.
func (d *Door) end(claim event.Claim, receipt event.Receipt, err error) (Result, error) {
	if err == nil {
		d.settler.Settle(claim, receipt)
		return Result{Receipt: receipt}, nil
	}
	if isNotWritten(err) {
		d.endUnwritten(claim)
	} else {
		d.settler.MarkUnknown(claim)
	}
	return Result{}, err
}

// endUnwritten ends a claim under which surely nothing was written, and waits a
// moment, so that an immediate retry finds the key free.
func (d *Door) endUnwritten(claim event.Claim) {
	select {
	case <-d.settler.Release(claim):
	case <-time.After(d.cfg.ClaimTimeout):
	}
}

// refuseUnplaced answers an event whose topic cannot be written to now. A
// settled claim still gets its receipt: the event is written, whatever the
// topic's state.
func (d *Door) refuseUnplaced(ctx context.Context, req *Request, id event.ClaimID, unplaced error) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.ClaimTimeout)
	defer cancel()
	standing, err := d.claims.Look(ctx, id, fingerprint(req))
	if err == nil && standing.State != event.Absent && standing.State != event.Abandoned {
		return answerStanding(standing)
	}
	return Result{}, unplaced
}

// withoutStore decides what happens when the claim could not be asked for.
func (d *Door) withoutStore(ctx context.Context, req *Request, checked event.Checked, place event.Placement, claim event.Claim, cause error) (Result, error) {
	var rebuilding *event.Rebuilding
	lost := errors.As(cause, &rebuilding)
	if d.storePolicy(checked.Definition, lost) != event.PublishOnStoreFailure {
		if lost {
			return Result{}, refuseRebuilding(rebuilding)
		}
		return Result{}, d.refuseStoreAway(claim, cause)
	}
	d.metrics.bypassed.Inc()
	// The claim is ended as if it stood: once the store is back, retries get
	// the receipt.
	receipt, err := d.publish(ctx, d.record(req, checked, place, nil, d.now()))
	if err != nil {
		d.endFailed(claim, err)
		return Result{}, err
	}
	d.settler.Settle(claim, receipt)
	return Result{Receipt: receipt, Bypassed: true}, nil
}

// storePolicy says what to do without a claim: the store is away, or, if lost,
// it may have lost claims and is being rebuilt.
func (d *Door) storePolicy(def *event.Definition, lost bool) event.StoreFailurePolicy {
	switch {
	case lost:
		return d.cfg.OnStoreLoss
	case def.OnStoreFailure != "":
		return def.OnStoreFailure
	default:
		return d.cfg.OnStoreFailure
	}
}

// refuseStoreAway drops the claim, whose reply may be lost: nothing was
// published under it, and nothing will be.
func (d *Door) refuseStoreAway(claim event.Claim, cause error) error {
	d.settler.Release(claim)
	return event.RefuseCause(event.IdempotencyStoreUnavailable, cause,
		"The idempotency store cannot be reached, so the gateway cannot promise to write this event only once. Nothing was written; send it again with the same key.")
}

func refuseRebuilding(r *event.Rebuilding) error {
	e := event.Refuse(event.IdempotencyStoreUnavailable,
		"The idempotency store is new or has lost data, and the gateway is reading from Kafka what was written. Until that is done it cannot promise to write this event only once. Nothing was written; send it again with the same key.")
	e.RetryAfter = r.Left
	return e
}

// endFailed ends, without waiting, a claim whose event was not acknowledged.
func (d *Door) endFailed(claim event.Claim, err error) {
	if isNotWritten(err) {
		d.settler.Release(claim)
	} else {
		d.settler.MarkUnknown(claim)
	}
}

func isNotWritten(err error) bool {
	var e *event.Error
	return errors.As(err, &e) && e.Outcome == event.NotWritten
}

// answerStanding answers from what stands in the store.
func answerStanding(s event.ClaimResult) (Result, error) {
	switch s.State {
	case event.Settled:
		return Result{Receipt: s.Receipt, Replayed: true}, nil
	case event.Reused:
		return Result{}, event.Refuse(event.IdempotencyKeyReused,
			"This Idempotency-Key was already used with another type, version, content type or body. Use a new key for a new event; a retry must repeat the first request to the byte.")
	case event.LeftUnknown:
		e := event.MaybeWritten(event.OutcomeUnknown, nil,
			"An earlier attempt with this key ended without an answer from the log. It is decided once that attempt's lease is over; retry with the same key then.")
		e.RetryAfter = s.LeaseLeft + time.Second
		return Result{}, e
	default: // in progress, or abandoned and taken by somebody else just now
		return Result{}, event.MaybeWritten(event.RequestInProgress, nil,
			"Another request with this Idempotency-Key is being written right now. Retry with the same key to learn its result.")
	}
}
