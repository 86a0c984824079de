package ingest

import (
	"context"

	"eventgateway/internal/event"
)

// Catalog knows the event types.
type Catalog interface {
	// Check validates data against the type's schema (version "": the newest)
	// and finds its entity key. On bad data the result still carries the
	// definition, if there is one, and the key, if it can be told. Errors are
	// *event.Error.
	Check(eventType, version string, data []byte) (event.Checked, error)
	// Key finds the entity key by other pointers than the type's; none is no
	// entity. Errors are *event.Error.
	Key(pointers []string, data []byte) (*string, error)
}

// Claims is the idempotency store, on the latency path.
type Claims interface {
	// Claim asks to hold an identity, and answers within a bound of its own. An
	// error means that the store could not answer; the claim may then stand all
	// the same. An *event.Rebuilding means that it does not stand.
	Claim(ctx context.Context, c event.Claim) (event.ClaimResult, error)
	// ClaimAll is Claim for several at once. Standings and errors are in the order
	// of the claims.
	ClaimAll(ctx context.Context, cs []event.Claim) ([]event.ClaimResult, []error)
	// TakeOver exchanges an abandoned claim, if it still stands as it was found,
	// for c. Errors are as for a claim.
	TakeOver(ctx context.Context, c event.Claim, prior event.AbandonedClaim) (event.ClaimResult, error)
	// Look reads without claiming. A zero f stands for any payload. Nothing
	// found while the store may have lost claims is an *event.Rebuilding.
	Look(ctx context.Context, id event.ClaimID, f event.Fingerprint) (event.ClaimResult, error)
}

// Settler ends claims.
type Settler interface {
	// Settle marks c done with its receipt, behind the caller's back: it does
	// not wait for the store.
	Settle(c event.Claim, r event.Receipt)
	// MarkUnknown marks c unknown, without waiting.
	MarkUnknown(c event.Claim)
	// Release drops c because surely nothing was or will be written under it.
	// The channel closes when that is done or given up: who waits lets an
	// immediate retry find the key free.
	Release(c event.Claim) <-chan struct{}
}

// Log is Kafka.
type Log interface {
	// Place chooses the partition: by key as Java producers do, or, for a nil
	// key, by spread. It fails with an *event.Error if the topic is not there.
	Place(topic string, key []byte, spread uint64) (event.Placement, error)
	// Publish produces and waits for the acknowledgement. Errors are
	// *event.Error and say whether the record was written.
	Publish(ctx context.Context, r event.Record) (event.Position, error)
	// PublishAsync begins to publish. The caller calls wait once, which ends as Publish
	// does.
	PublishAsync(ctx context.Context, r event.Record) (wait func() (event.Position, error))
	// Find is the recovery read: it looks for the record that the attempts
	// before may have written under an abandoned claim. Not found is sure: no
	// such record will appear any more. Errors are *event.Error, unknown.
	Find(ctx context.Context, id event.ClaimID, prior event.AbandonedClaim) (receipt event.Receipt, found bool, err error)
}
