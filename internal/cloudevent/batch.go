package cloudevent

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"eventgateway/internal/event"
)

// Item is one event of a batch, as [Parse] reads it.
type Item struct {
	Event
	Err error
}

// ParseBatch reads a batch (CloudEvents JSON event format 1.0 §4). Each item has its own
// error.
func ParseBatch(text []byte) ([]Item, error) {
	if items, ok := parseGood(text); ok {
		return items, nil
	}
	texts, err := split(text)
	if err != nil {
		return nil, err
	}
	items := make([]Item, len(texts))
	for i, text := range texts {
		items[i].Event, items[i].Err = Parse(text)
	}
	return items, nil
}

// parseGood reads a batch without any fault in one pass; false if there is a fault.
func parseGood(text []byte) (items []Item, ok bool) {
	d := decoder(text, jsontext.AllowDuplicateNames(true))
	defer d.free(text)
	if open, err := d.ReadToken(); err != nil || open.Kind() != jsontext.KindBeginArray {
		return nil, false
	}
	items = make([]Item, 0, min(MaxBatch, len(text)/usualItem+1))
	var source, eventType repeated
	for d.PeekKind() != jsontext.KindEndArray {
		r := d.reader(text)
		r.source, r.eventType = source, eventType
		if len(items) == MaxBatch || r.object() != nil || r.complete() != nil {
			return nil, false
		}
		items = append(items, Item{Event: r.event})
		source, eventType = r.source, r.eventType
	}
	_, err := d.ReadToken()
	return items, err == nil && trailing(&d.Decoder, text, "batch") == nil
}

// usualItem is a size in bytes that few events in a batch are shorter than.
const usualItem = 200

// split returns the texts of the items of a batch.
func split(text []byte) ([][]byte, error) {
	d := decoder(text, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	defer d.free(text)
	dec := &d.Decoder
	open, err := dec.ReadToken()
	if err != nil {
		return nil, syntax(err, "batch")
	}
	if open.Kind() != jsontext.KindBeginArray {
		return nil, event.Refuse(event.MalformedJSON, "A batch is a JSON array of CloudEvents; this is something else. Send a single event as application/cloudevents+json.")
	}
	items := [][]byte{}
	for dec.PeekKind() != jsontext.KindEndArray {
		if len(items) == MaxBatch {
			return nil, event.Refuse(event.EventTooLarge, "The batch has more than %d events; send it in parts.", MaxBatch)
		}
		value, err := dec.ReadValue()
		if err != nil {
			return nil, syntax(err, "batch")
		}
		end := int(dec.InputOffset())
		items = append(items, text[end-len(value):end])
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, syntax(err, "batch")
	}
	return items, trailing(dec, text, "batch")
}

// repeated is an attribute's text and value in the event before. Most events of a batch
// share them, and a valid text need not be checked again.
type repeated struct {
	raw   []byte
	value string
}

// repeat copies an attribute from the event before if it has the same text.
func (r *reader) repeat(before *repeated, to *string, name string, raw []byte) (wrong string) {
	if bytes.Equal(raw, before.raw) {
		*to = before.value
		return ""
	}
	wrong = r.attribute(name, raw)
	if wrong == "" {
		*before = repeated{raw, *to}
	}
	return wrong
}
