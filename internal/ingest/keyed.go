package ingest

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

// The steps of an event with an identity (design section 7), from top to bottom:
//
//	place         choose the partition, make the claim     else answerUnplaced
//	Claim         ask the store for it
//	holds         is it ours?                              else withoutClaim
//	prepare       make the record; is there time?          else refuseLate
//	acknowledged  hand the record over, wait for the log
//	end           settle, release or mark unknown
//
// Two drivers take them: publishOnce for one event, and pipeline (batch.go) for many,
// where all are claimed with one call and all records are handed over before the
// first is waited for. What follows an "else" may wait for the store or the log.

// publishOnce takes one event through all steps.
func (a *attempt) publishOnce(ctx context.Context) {
	if err := a.place(a.door.now()); err != nil {
		a.answerUnplaced(ctx, err)
		return
	}
	found, err := a.door.claims.Claim(ctx, a.claim)
	a.door.metrics.claim.Observe(a.door.now().Sub(a.claim.Begun).Seconds())
	if !holds(found, err) {
		a.withoutClaim(ctx, found, err)
		return
	}
	a.until = found.Until
	failpoint.At(failpoint.Claimed)
	a.publishClaimed(ctx)
}

// publishClaimed takes the steps that follow when the claim is held.
func (a *attempt) publishClaimed(ctx context.Context) {
	if !a.prepare() {
		a.refuseLate()
		return
	}
	a.end(a.acknowledged(ctx))
}

// place chooses the partition and makes the claim, with a fresh token. An error says
// that the topic cannot be written to now.
func (a *attempt) place(now time.Time) error {
	id := a.plan.ClaimID
	place, err := a.door.log.Place(a.plan.Topic, keyBytes(a.plan.Key), spreadOf(id))
	if err != nil {
		return err
	}
	a.claim = event.Claim{
		ID: id, Fingerprint: fingerprint(a.req), Token: a.door.tokens.next(), Placement: place, Begun: now,
		Type: a.req.Type, Delivery: a.req.Identity.Kind == event.IdentityWebhook, TypesBegin: a.req.TypesBegin,
	}
	return nil
}

// holds tells whether the store gave the attempt its claim.
func holds(found event.ClaimResult, err error) bool {
	return err == nil && found.State == event.Claimed
}

// deliverySlack is how much later than its delivery timeout a record may still
// leave: giving a producer up takes a moment, and a busy machine needs more.
const deliverySlack = 1500 * time.Millisecond

// prepare makes the record of a claim that is held. It is false if too little is left for
// a whole delivery: of the lease, or of the time for which this gateway's claims surely
// count.
func (a *attempt) prepare() bool {
	a.record = a.newRecord(a.claim.Placement, &a.claim)
	left := a.door.cfg.Lease - a.record.Timestamp.Sub(a.claim.Begun)
	if !a.until.IsZero() {
		left = min(left, a.until.Sub(a.record.Timestamp))
	}
	if left < a.door.cfg.DeliveryTimeout+deliverySlack {
		return false
	}
	failpoint.At(failpoint.Publishing)
	return true
}

// send hands the record over, without waiting for the log.
func (a *attempt) send(ctx context.Context) { a.wait = a.door.log.PublishAsync(ctx, a.record) }

// acknowledged waits for the log's acknowledgement, and hands the record over first if
// that is not done yet.
func (a *attempt) acknowledged(ctx context.Context) (event.Receipt, error) {
	var at event.Position
	var err error
	if a.wait != nil {
		at, err = a.wait()
	} else {
		at, err = a.door.log.Publish(ctx, a.record)
	}
	a.door.metrics.publish.Observe(a.door.now().Sub(a.record.Timestamp).Seconds())
	if err != nil {
		return event.Receipt{}, err
	}
	return event.ReceiptOf(a.record, at), nil
}

// end ends the claim as its record ended. Only a release is waited for.
func (a *attempt) end(receipt event.Receipt, err error) {
	a.result.Receipt, a.err = receipt, err
	switch {
	case err == nil && a.unsettled:
		a.door.settler.Written(a.claim)
		a.settlement = &event.Settlement{Claim: a.claim, Receipt: receipt}
	case err == nil:
		a.door.settler.Settle(a.claim, receipt)
	case asError(err).Outcome == event.NotWritten:
		a.release()
	default:
		a.door.settler.MarkUnknown(a.claim)
	}
}

// release drops the claim, under which surely nothing was or will be written. It waits
// up to ClaimTimeout, so that an immediate retry finds the key free. If the store has
// already failed to answer, it does not wait.
func (a *attempt) release() {
	released := a.door.settler.Release(a.claim)
	if a.storeAway {
		return
	}
	select {
	case <-released:
	case <-time.After(a.door.cfg.ClaimTimeout):
	}
}

// answerUnplaced answers an event that cannot be written now because of Kafka. If its claim
// is settled it still gets its receipt: the event is written, whatever became of
// Kafka.
func (a *attempt) answerUnplaced(ctx context.Context, unplaced error) {
	looking, cancel := context.WithTimeout(ctx, a.door.cfg.ClaimTimeout)
	defer cancel()
	found, err := a.door.claims.Look(looking, a.plan.ClaimID, fingerprint(a.req))
	if err != nil || found.State == event.Absent || found.State == event.Abandoned {
		a.err = unplaced
		return
	}
	a.result, a.err = a.resultOf(ctx, found)
}

// withoutClaim continues when the claim is not ours: the store did not answer, the
// attempt before left it, or somebody else holds it.
func (a *attempt) withoutClaim(ctx context.Context, found event.ClaimResult, err error) {
	switch {
	case err != nil:
		a.withoutStore(ctx, err)
	case found.State == event.Abandoned:
		a.resume(ctx, found.Abandoned)
	default:
		a.result, a.err = a.resultOf(ctx, found)
	}
}

// refuseLate gives up a claim under which too little time is left now.
func (a *attempt) refuseLate() {
	a.release()
	if a.door.cfg.Lease-a.record.Timestamp.Sub(a.claim.Begun) >= a.door.cfg.DeliveryTimeout+deliverySlack {
		a.err = refuseUnconfirmed(nil)
		return
	}
	a.err = event.Refuse(event.Overloaded,
		"The idempotency store took too long to leave time for a safe write. Nothing was written; send it again.")
}

// withoutStore decides what happens when the store did not answer, or was not asked.
func (a *attempt) withoutStore(ctx context.Context, cause error) {
	if unconfirmed := (*event.Unconfirmed)(nil); errors.As(cause, &unconfirmed) {
		a.answerUnplaced(ctx, refuseUnconfirmed(cause))
		return
	}
	a.storeAway = true
	var rebuilding *event.Rebuilding
	lost := errors.As(cause, &rebuilding)
	switch {
	case a.storePolicy(lost) == event.PublishOnStoreFailure:
		a.door.metrics.bypassed.Inc()
		a.result.Bypassed = true
		a.record = a.newRecord(a.claim.Placement, nil)
		// The claim ends as if it were held: once the store is back, retries get
		// the receipt.
		a.end(a.acknowledged(ctx))
	case lost:
		a.err = refuseRebuilding(rebuilding)
	default:
		// The claim may be held, if only the reply was lost. Nothing was published
		// under it, and nothing will be.
		if away := (*event.StoreAway)(nil); !errors.As(cause, &away) {
			a.release()
		}
		a.err = event.RefuseCause(event.IdempotencyStoreUnavailable, cause,
			"The idempotency store cannot be reached, so the gateway cannot promise to write this event only once. Nothing was written; send it again with the same key.")
	}
}

func refuseUnconfirmed(cause error) error {
	return event.RefuseCause(event.LogUnavailable, cause,
		"Kafka has not confirmed lately that this gateway is registered, so the gateway cannot promise to write this event only once. Nothing was written; send it again with the same key.")
}

// storePolicy says what to do without a claim: the store is away, or, if lost,
// it may have lost claims and is being rebuilt.
func (a *attempt) storePolicy(lost bool) event.StoreFailurePolicy {
	switch {
	case lost:
		return a.door.cfg.OnStoreLoss
	case !a.plan.DeadLetter && a.plan.Definition.OnStoreFailure != "":
		return a.plan.Definition.OnStoreFailure
	default:
		return a.door.cfg.OnStoreFailure
	}
}

// mostRebuildPause bounds the pause that callers are asked for during a rebuild: types come
// back one by one, and the time that is left is an estimate.
const mostRebuildPause = 5 * time.Minute

// spread makes a pause up to a quarter longer, so that callers who were refused together do
// not come back together. at is from 0 to 1.
func spread(pause time.Duration, at float64) time.Duration {
	return pause + time.Duration(at*float64(pause)/4)
}

func refuseRebuilding(r *event.Rebuilding) error {
	e := event.Refuse(event.IdempotencyStoreUnavailable,
		"The idempotency store is new or has lost data, and the gateway is reading from Kafka what was written. Until that is done it cannot promise to write this event only once. Nothing was written; send it again with the same key.")
	if r.Progress != "" {
		e.Detail += " So far " + r.Progress + "."
	}
	e.RetryAfter = spread(min(r.Left, mostRebuildPause), rand.Float64()) //nolint:gosec // it only keeps callers from coming back together
	return e
}

// resume continues from a claim whose attempt ended without saying how: first the
// recovery read, then the take-over. In this order because a complete read makes the
// taker as good as a first owner: nothing of the earlier attempts is or will be in the
// log, and the take-over compares the whole claim, so nobody else has written in
// between (docs/adr/0009).
func (a *attempt) resume(ctx context.Context, prior event.AbandonedClaim) {
	receipt, found, err := a.door.find(ctx, a.claim.ID, prior)
	if err != nil {
		a.err = err
		return
	}
	if found {
		a.result = Result{Receipt: receipt, Replayed: true}
		return
	}
	failpoint.At(failpoint.Recovered)
	// Placed again: the read took time, and the producer may be another one now. With
	// a token of its own: a failover may bring the first claim back, and it must not
	// be taken for the take-over.
	if err := a.place(a.door.now()); err != nil {
		a.err = err
		return
	}
	taken, err := a.takeOver(ctx, prior)
	if err != nil {
		a.withoutStore(ctx, err)
		return
	}
	if taken.State != event.Claimed {
		a.result, a.err = a.resultOf(ctx, taken)
		return
	}
	a.until = taken.Until
	a.door.metrics.takeovers.Inc()
	failpoint.At(failpoint.TakenOver)
	a.publishClaimed(ctx)
}

func (a *attempt) takeOver(ctx context.Context, prior event.AbandonedClaim) (event.ClaimResult, error) {
	ctx, cancel := context.WithTimeout(ctx, a.door.cfg.ClaimTimeout)
	defer cancel()
	return a.door.claims.TakeOver(ctx, a.claim, prior)
}

// find reads in the log what became of an abandoned claim, and settles the claim if
// its event is there.
func (d *Door) find(ctx context.Context, id event.ClaimID, prior event.AbandonedClaim) (event.Receipt, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.DeliveryTimeout)
	defer cancel()
	receipt, found, err := d.log.Find(ctx, id, prior)
	if err == nil && found {
		d.settler.Settle(event.Claim{ID: id, Fingerprint: prior.Fingerprint, Token: prior.Token}, receipt)
	}
	return receipt, found, err
}

// resultOf is the answer to an event whose claim somebody else holds or has ended.
func (a *attempt) resultOf(ctx context.Context, found event.ClaimResult) (Result, error) {
	if found.State == event.Settled && found.Kept != nil {
		receipt, err := a.completed(ctx, *found.Kept)
		return Result{Receipt: receipt, Replayed: err == nil}, err
	}
	return answerTo(found)
}

// completed is the receipt of an event that was written before. Usually the attempt would
// write the same record; else the one in the log is read.
func (a *attempt) completed(ctx context.Context, kept event.KeptReceipt) (event.Receipt, error) {
	if !a.plan.refused() {
		now := event.ReceiptOf(a.newRecord(event.Placement{Topic: a.plan.Topic}, nil), event.Position{})
		if receipt, ok := kept.Complete(now); ok {
			return receipt, nil
		}
	}
	return a.door.read(ctx, a.plan.ClaimID, kept)
}

// read reads a receipt from the record.
func (d *Door) read(ctx context.Context, id event.ClaimID, kept event.KeptReceipt) (event.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.DeliveryTimeout)
	defer cancel()
	d.metrics.receipts.Inc()
	receipt, err := d.log.Read(ctx, id, kept)
	if err != nil {
		return event.Receipt{}, event.MaybeWritten(event.OutcomeUnknown, err,
			"The event was written before, at offset %d of partition %d, and its receipt is in that record, which Kafka does not give now. Ask again with the same key.", kept.Offset, kept.Partition)
	}
	return receipt, nil
}

// answerTo is the answer to an event that somebody else writes or has written, for a
// claim with a complete receipt, or none.
func answerTo(found event.ClaimResult) (Result, error) {
	switch found.State {
	case event.Settled:
		return Result{Receipt: found.Receipt, Replayed: true}, nil
	case event.Reused:
		return Result{}, event.Refuse(event.IdempotencyKeyReused,
			"This Idempotency-Key was already used with another type, version, content type or body. Use a new key for a new event; a retry must repeat the first request to the byte.")
	case event.LeftUnknown:
		e := event.MaybeWritten(event.OutcomeUnknown, nil,
			"An earlier attempt with this key ended without an answer from the log. It is decided once that attempt's lease is over; retry with the same key then.")
		e.RetryAfter = found.LeaseLeft + time.Second
		return Result{}, e
	default: // in progress, or abandoned and taken by somebody else just now
		return Result{}, event.MaybeWritten(event.RequestInProgress, nil,
			"Another request with this Idempotency-Key is being written right now. Retry with the same key to learn its result.")
	}
}
