package ingest

import "eventgateway/internal/event"

// Request is one event as a caller sent it. Data must not change until Accept returns.
// Strings are kept longer and must never change.
type Request struct {
	Client    string // the authenticated caller
	Type      string
	Version   string // as requested; empty if none was named
	MediaType string // lower case, without parameters
	// ContentType is the media type as sent, for the record: a retry may spell it
	// in another way. Empty: MediaType.
	ContentType string
	Data        []byte // the event's data, published to the byte
	// Tombstone, if set, is the entity key under which a record without a value is
	// published; there are no data.
	Tombstone *string
	// Headers are record headers that the request chose, after the usual ones.
	Headers  []event.Header
	Identity event.Identity // zero: not deduplicated
	// Attributes as sent; empty ones get their defaults.
	Attributes event.Attributes
	// Key, if set, says where the entity key is, instead of the event type.
	Key *KeyRule
	// Entity, if set, is what the entity key must be, if the event type has one.
	Entity *string
	// DeadLetter, if set, says where the event goes if it does not fit its schema.
	DeadLetter *DeadLetter
	// TypesBegin is what all types begin with that a webhook's source may name.
	TypesBegin string
	// Fault, if set, is an *event.Error that the caller found in the event. The door
	// refuses the event for it; in a batch, later events of the entity are held back.
	Fault error
}

// KeyRule says where an entity key is. No pointers: the event has no entity.
type KeyRule struct {
	Pointers []string // JSON Pointers into the data
}

// DeadLetter is where an event that does not fit its schema goes: to another topic,
// without entity key, under its own identity.
type DeadLetter struct {
	Topic   string
	Headers []event.Header // of the record, after the usual ones
}

// Result is what became of an accepted event.
type Result struct {
	Receipt event.Receipt
	// Replayed says that the event had been written by an earlier request.
	Replayed bool
	// Bypassed says that the event was published without deduplication,
	// because the idempotency store was away and the type allows it.
	Bypassed bool
}

// fingerprint is what a retry must repeat. A webhook's provider repeats only its
// delivery's id: the body may count attempts, or come with other events.
func fingerprint(req *Request) event.Fingerprint {
	if req.Identity.Kind == event.IdentityWebhook {
		return event.NewFingerprint("", "", "", nil)
	}
	if req.Tombstone != nil { // no event has an empty media type
		return event.NewFingerprint(req.Type, req.Version, "", []byte(*req.Tombstone))
	}
	return event.NewFingerprint(req.Type, req.Version, req.MediaType, req.Data)
}
