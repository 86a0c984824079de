package ingest

import (
	"context"

	"eventgateway/internal/event"
)

// Catalog knows the event types.
type Catalog interface {
	// CheckWithin validates data against the type's schema (version "": the newest)
	// and finds its entity key. Beside an error, the result carries the definition
	// if the version is known, and the key if the data have one. Errors are
	// *event.Error. Events of one batch share what Together returned; nil: the event is
	// alone.
	CheckWithin(eventType, version string, data []byte, within *event.Allowance) (event.Checked, error)
	// Together waits until several events, of so many bytes together, can be checked, and
	// returns what they share. Its Slot must be ended. Errors are *event.Error.
	Together(bytes int) (*event.Allowance, error)
	// CheckTombstone decides whether a record without a value may be published under an
	// entity key. Result and errors are as for Check.
	CheckTombstone(eventType, version, key string) (event.Checked, error)
	// Key finds the entity key by other pointers than the type's. No pointers: no
	// entity. The allowance and the errors are those of CheckWithin.
	Key(pointers []string, data []byte, within *event.Allowance) (*string, error)
}

// Claims is the idempotency store, on the latency path.
type Claims interface {
	// Claim asks to hold an identity. It bounds its own waiting. An error means
	// that the store did not answer: the claim may be held or not. After an
	// *event.Rebuilding, an *event.StoreAway or an *event.Unconfirmed it is not held.
	Claim(ctx context.Context, c event.Claim) (event.ClaimResult, error)
	// ClaimAll is Claim for several at once. Results and errors are in the order
	// of the claims.
	ClaimAll(ctx context.Context, cs []event.Claim) ([]event.ClaimResult, []error)
	// TakeOver replaces an abandoned claim with c, if it is still as it was found.
	// Errors are as for Claim.
	TakeOver(ctx context.Context, c event.Claim, prior event.AbandonedClaim) (event.ClaimResult, error)
	// Look reads without claiming. The zero fingerprint matches any payload. When
	// nothing is found while the store may have lost claims, the error is an
	// *event.Rebuilding.
	Look(ctx context.Context, id event.ClaimID, f event.Fingerprint) (event.ClaimResult, error)
}

// Settler ends claims.
type Settler interface {
	// Settle marks c done with its receipt. It does not wait for the store.
	Settle(c event.Claim, r event.Receipt)
	// Written notes that c's record is in the log, and leaves c as it is.
	Written(c event.Claim)
	// MarkUnknown marks c unknown. It does not wait for the store.
	MarkUnknown(c event.Claim)
	// Release drops c, because surely nothing was or will be written under it.
	// The channel closes when that is done or given up: a caller who waits for it
	// lets an immediate retry find the key free.
	Release(c event.Claim) <-chan struct{}
}

// Log is Kafka.
type Log interface {
	// Place chooses the partition: by key as Java producers do, or, for a nil
	// key, by spread. If the topic cannot be written to, it fails with an
	// *event.Error.
	Place(topic string, key []byte, spread uint64) (event.Placement, error)
	// Publish produces and waits for the acknowledgement. Errors are
	// *event.Error and say whether the record was written.
	Publish(ctx context.Context, r event.Record) (event.Position, error)
	// PublishAsync hands the record over and returns. The caller must call wait
	// once: it waits for the acknowledgement and returns what Publish would.
	PublishAsync(ctx context.Context, r event.Record) (wait func() (event.Position, error))
	// PublishAll is PublishAsync for several records. Those of a partition are written in
	// the order in which they are given. follows[i] is the position of the record that the
	// i-th has to follow, or -1: it is not written unless that one was. wait is called once
	// for each record.
	PublishAll(ctx context.Context, records []event.Record, follows []int) (wait func(i int) (event.Position, error))
	// KeepsOrder reports whether PublishAll takes records that follow others.
	KeepsOrder() bool
	// Find is the recovery read: it looks for the record that earlier attempts may
	// have written under an abandoned claim. "Not found" is final: no such record
	// will appear later. Errors are *event.Error with the outcome unknown.
	Find(ctx context.Context, id event.ClaimID, prior event.AbandonedClaim) (receipt event.Receipt, found bool, err error)
	// Read reads the receipt of an event from its record.
	Read(ctx context.Context, id event.ClaimID, kept event.KeptReceipt) (event.Receipt, error)
}
