package ingest

import (
	"context"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

// resume decides what becomes of a claim whose attempt ended without a word:
// first the recovery read, then the take-over. In this order because a complete
// read makes the taker as good as a first owner: nothing of the attempts before
// is or will be in the log, and the take-over compares the whole claim, so that
// nobody else has written in between (docs/adr/0009).
func (d *Door) resume(ctx context.Context, req *Request, checked event.Checked, claim event.Claim, prior event.AbandonedClaim) (Result, error) {
	receipt, found, err := d.find(ctx, claim.ID, prior)
	if err != nil {
		return Result{}, err
	}
	if found {
		return Result{Receipt: receipt, Replayed: true}, nil
	}
	failpoint.At(failpoint.Recovered)
	// The read took time, and the producer may be another one by now.
	claim.Placement, err = d.log.Place(checked.Definition.Topic, keyBytes(checked.Key), spreadOf(claim.ID))
	if err != nil {
		return Result{}, err
	}
	// A token of its own: the attempt's claim may come back in a failover, and
	// must not be taken for the take-over.
	claim.Token, claim.Begun = d.tokens.next(), d.now()
	taking, cancel := context.WithTimeout(ctx, d.cfg.ClaimTimeout)
	defer cancel()
	standing, err := d.claims.TakeOver(taking, claim, prior)
	if err != nil {
		return d.withoutStore(ctx, req, checked, claim.Placement, claim, err)
	}
	if standing.State != event.Claimed {
		return answerStanding(standing)
	}
	d.metrics.takeovers.Inc()
	failpoint.At(failpoint.TakenOver)
	return d.publishClaimed(ctx, d.record(req, checked, claim.Placement, &claim, d.now()), claim)
}

// find reads in the log what became of an abandoned claim, and settles it if
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
