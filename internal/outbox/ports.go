package outbox

import (
	"context"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
)

// Door is where rows become records.
type Door interface {
	Plan(req *ingest.Request) ingest.Plan
	Relay(ctx context.Context, events []ingest.Relayed, rules ingest.RelayRules) []ingest.BatchResult
}

// Claims are those of the rows in the idempotency store.
type Claims interface {
	// Begin names the present state of the store for an outbox.
	Begin(ctx context.Context, outbox, epoch string) error
	// Holds tells whether the store has lost no claim since that name was given, nor got old
	// ones back: as far as claims like these are concerned, or, for none, any.
	Holds(ctx context.Context, outbox, epoch string, like []event.ClaimID) (bool, error)
	// Settle settles claims soon, and keeps them for the window.
	Settle(list []event.Settlement)
	// Expire makes claims expire after a time, settled or not, if they would live longer.
	Expire(ctx context.Context, ids []event.ClaimID, after time.Duration) error
}

// Log is Kafka, in which rows are looked for.
type Log interface {
	// Find tells which of the claims have records with a timestamp of from or later. It
	// first waits until nothing that was claimed before the call can still be appended.
	Find(ctx context.Context, ids map[event.ClaimID]struct{}, from time.Time) (map[event.ClaimID]struct{}, error)
}
