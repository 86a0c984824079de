package ingest

import (
	"net/url"
	"time"

	"eventgateway/internal/event"
)

// Request is one event as a caller sent it. Strings and bytes must stay
// unchanged until Accept returns; strings are kept beyond it.
type Request struct {
	Client    string // the authenticated caller
	Type      string
	Version   string // as requested; empty if none was named
	MediaType string // lower case, without parameters
	// ContentType is the media type as sent, for the record: a retry may spell it
	// in another way. Empty: MediaType.
	ContentType string
	Data        []byte         // the event's data, published to the byte
	Identity    event.Identity // zero: not deduplicated
	// Attributes as sent; empty ones get their defaults.
	Attributes event.Attributes
	// Key, if set, says where the entity key is, instead of the event type.
	Key *KeyRule
	// DeadLetter, if set, keeps the event if it does not fit its schema.
	DeadLetter *DeadLetter
	// Fault, if set, is why the caller's own reading refuses the event, an
	// *event.Error. It goes through the door all the same: in a batch it holds
	// later events of its entity back.
	Fault error
}

// KeyRule is where an entity key is. No pointers: there is no entity.
type KeyRule struct {
	Pointers []string // JSON Pointers into the data
}

// DeadLetter is where an event goes that does not fit its schema: to a topic of
// its own, without entity, under the identity that it has.
type DeadLetter struct {
	Topic   string
	Headers []event.Header // of the record, beside the usual ones
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

// attributes fills in what the caller left open.
func (d *Door) attributes(req *Request, id event.ClaimID, now time.Time) event.Attributes {
	a := req.Attributes
	if a.ID == "" && !req.Identity.IsZero() {
		a.ID = derivedID(id)
	}
	if a.ID == "" {
		a.ID = d.newID()
	}
	if a.Source == "" {
		a.Source = DefaultSource(req.Client)
	}
	if a.Time == "" {
		a.Time = now.UTC().Format(time.RFC3339Nano)
	}
	return a
}

// DefaultSource is the CloudEvents source of a client that names none.
func DefaultSource(client string) string { return "/clients/" + url.PathEscape(client) }

// dataSchema is the absolute URI of the schema that the data satisfies, or
// empty if the gateway does not know its own public URL.
func (d *Door) dataSchema(def *event.Definition) string {
	switch {
	case def.SchemaID != "":
		return def.SchemaID
	case d.cfg.PublicURL == "":
		return ""
	}
	return d.cfg.PublicURL + "/v1/event-types/" + def.Type + "/schema?version=" + def.Version
}
