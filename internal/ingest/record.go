package ingest

import (
	"cmp"
	"net/url"
	"time"

	"eventgateway/internal/event"
)

// newRecord makes the Kafka record of an event that is published now. A nil claim:
// without deduplication.
func (a *attempt) newRecord(place event.Placement, claim *event.Claim) event.Record {
	now := a.door.now()
	def := a.plan.Definition
	if a.plan.DeadLetter {
		def = &event.Definition{Type: a.req.Type, Version: a.req.Version}
	}
	attributes := a.attributes(now)
	var contentType, dataSchema string // of the value; a tombstone has none
	if a.req.Tombstone == nil {
		contentType, dataSchema = cmp.Or(a.req.ContentType, a.req.MediaType), a.door.dataSchema(def)
	}
	record := event.Record{
		Placement: place,
		Key:       keyBytes(a.plan.Key),
		Value:     a.req.Data,
		Headers:   event.NewHeaders(def, attributes, contentType, dataSchema, claim),
		Timestamp: now,
	}
	if def.Structured && a.req.Tombstone == nil {
		record.Value = event.Structured(def, attributes, contentType, dataSchema, a.req.Data)
	}
	if a.plan.DeadLetter {
		record.Headers = append(record.Headers,
			event.Header{Name: event.HeaderProblem, Value: string(a.plan.Problem.Kind)},
			event.Header{Name: event.HeaderProblemDetail, Value: a.plan.Problem.Detail})
		record.Headers = append(record.Headers, a.req.DeadLetter.Headers...)
		return record
	}
	record.Headers = append(record.Headers, a.req.Headers...)
	return record
}

func keyBytes(key *string) []byte {
	if key == nil {
		return nil
	}
	return []byte(*key)
}

// attributes fills in what the caller left open. An event with an identity gets the
// same id on every attempt, also without deduplication.
func (a *attempt) attributes(now time.Time) event.Attributes {
	attributes := a.req.Attributes
	if attributes.ID == "" {
		if a.req.Identity.IsZero() {
			attributes.ID = a.door.newID()
		} else {
			attributes.ID = derivedID(a.plan.ClaimID)
		}
	}
	if attributes.Source == "" {
		attributes.Source = DefaultSource(a.req.Client)
	}
	if attributes.Time == "" {
		attributes.Time = now.UTC().Format(time.RFC3339Nano)
	}
	return attributes
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
