package ingest

import (
	"errors"

	"eventgateway/internal/event"
)

// Plan says what the door will do with an event, before the store or the log is
// asked: publish it as its event type, keep it as a dead letter, or refuse it.
type Plan struct {
	// Definition is the event type's; nil if there is no such type or version.
	Definition *event.Definition
	// Topic is where the record goes; empty if the event is refused.
	Topic string
	// Key is the record's entity key; nil if it has none.
	Key *string
	// ClaimID is the gw_claim of the record; zero if the event is not deduplicated.
	ClaimID event.ClaimID
	// DeadLetter says that the event goes to its dead-letter topic, because of
	// Problem.
	DeadLetter bool
	// Problem is why the event is not published as its event type; nil if it is.
	Problem *event.Error

	// entity is the event's own entity key, also beside a problem if the data have
	// one: in a batch, a refused event keeps its place among those of its entity.
	entity *string
}

// NewPlan decides what to do with an event. It writes nothing, and waits for nothing but
// its turn to be checked.
func NewPlan(catalog Catalog, req *Request) Plan { return newPlan(catalog, req, nil) }

// newPlan is NewPlan of an event that shares an allowance with others of its batch.
func newPlan(catalog Catalog, req *Request, within *event.Allowance) Plan {
	checked, err := check(catalog, req, within)
	p := Plan{Definition: checked.Definition, entity: checked.Key}
	if !req.Identity.IsZero() {
		p.ClaimID = req.Identity.ClaimID(req.Client)
	}
	switch {
	case err != nil:
		p.Problem = asError(err)
		if req.DeadLetter != nil && belongsInDeadLetters(p.Problem.Kind) {
			p.DeadLetter, p.Topic = true, req.DeadLetter.Topic
		}
	case req.Identity.IsZero() && checked.Definition.IdempotencyRequired:
		p.Problem = event.Refuse(event.IdempotencyKeyMissing,
			"Events of type %s need an Idempotency-Key header (or a ce-id), so that a retry cannot publish twice. Choose one value per event and send the same one with every retry.", req.Type)
	default:
		p.Topic, p.Key = checked.Definition.Topic, checked.Key
	}
	return p
}

// check validates the data, and finds the key where the request says it is. A
// request's own fault comes before what the catalog says.
func check(catalog Catalog, req *Request, within *event.Allowance) (event.Checked, error) {
	if req.Tombstone != nil {
		checked, err := catalog.CheckTombstone(req.Type, req.Version, *req.Tombstone)
		if req.Fault != nil {
			err = req.Fault
		}
		return checked, err
	}
	checked, err := catalog.CheckWithin(req.Type, req.Version, req.Data, within)
	if req.Key != nil && checked.Definition != nil && (err == nil || asError(err).Kind == event.KeyMissing) {
		checked.Key, err = catalog.Key(req.Key.Pointers, req.Data, within)
	}
	if want := req.Entity; err == nil && want != nil && checked.Key != nil && *checked.Key != *want {
		err = event.Refuse(event.KeyMissing, "The entity key in the data is %q, but the event says that it belongs to the entity %q.", *checked.Key, *want)
	}
	if req.Fault != nil {
		err = req.Fault
	}
	return checked, err
}

// belongsInDeadLetters tells whether a problem is the event's own: sending it again
// unchanged would not help.
func belongsInDeadLetters(kind event.Kind) bool {
	switch kind {
	case event.MalformedJSON, event.MalformedRequest, event.UnknownEventType, event.SchemaViolation,
		event.KeyMissing, event.EventTooLarge, event.UnsupportedMediaType:
		return true
	}
	return false
}

// refused tells whether the event is not to be written at all.
func (p *Plan) refused() bool { return p.Problem != nil && !p.DeadLetter }

// eventType is the label for metrics: empty if the type does not exist, because
// strangers choose the names of those.
func (p *Plan) eventType() string {
	if p.Definition == nil {
		return ""
	}
	return p.Definition.Type
}

// asError returns the *event.Error of an error; one without is a failure of the
// gateway.
func asError(err error) *event.Error {
	var e *event.Error
	if !errors.As(err, &e) {
		return event.Failure(err)
	}
	return e
}
