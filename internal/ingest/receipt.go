package ingest

import (
	"context"
	"errors"

	"eventgateway/internal/event"
)

// Receipt tells what became of the event that a client sent with an identity.
// An outcome that was left unknown is looked up in the log. Errors are
// *event.Error; NotFound says that no such event was written, nor will be unless it
// is sent again.
func (d *Door) Receipt(ctx context.Context, client string, identity event.Identity) (event.Receipt, error) {
	id := identity.ClaimID(client)
	looking, cancel := context.WithTimeout(ctx, d.cfg.ClaimTimeout)
	defer cancel()
	found, err := d.claims.Look(looking, id, event.Fingerprint{})
	if err != nil {
		return event.Receipt{}, receiptUnavailable(err)
	}
	switch {
	case found.State == event.Settled && found.Kept != nil:
		return d.read(ctx, id, *found.Kept)
	case found.State == event.Absent:
		return event.Receipt{}, event.Refuse(event.NotFound,
			"No event with this identity was written within the idempotency window. It can be sent.")
	case found.State == event.Abandoned:
		return d.receiptFromLog(ctx, id, found.Abandoned)
	default:
		result, err := answerTo(found)
		return result.Receipt, err
	}
}

func (d *Door) receiptFromLog(ctx context.Context, id event.ClaimID, prior event.AbandonedClaim) (event.Receipt, error) {
	receipt, found, err := d.find(ctx, id, prior)
	if err != nil {
		return event.Receipt{}, err
	}
	if !found {
		return event.Receipt{}, event.Refuse(event.NotFound,
			"An earlier attempt with this identity was not written, and will not be. It can be sent again.")
	}
	return receipt, nil
}

func receiptUnavailable(err error) error {
	var rebuilding *event.Rebuilding
	if errors.As(err, &rebuilding) {
		return refuseRebuilding(rebuilding)
	}
	return event.RefuseCause(event.IdempotencyStoreUnavailable, err,
		"The idempotency store cannot be reached, so it cannot be said what became of the event. Ask again.")
}
