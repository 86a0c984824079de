package ingest

import (
	"context"

	"eventgateway/internal/event"
)

// keepable reports whether an event that is refused for err may be kept on a
// dead-letter topic: it is no use sending it again as it is.
func keepable(err error) bool {
	switch kindOf(err) {
	case event.MalformedJSON, event.MalformedRequest, event.UnknownEventType, event.SchemaViolation,
		event.KeyMissing, event.EventTooLarge, event.UnsupportedMediaType:
		return true
	}
	return false
}

// keep writes an event that does not fit its schema to its dead-letter topic,
// once per identity like any other, with the reason in its headers.
func (d *Door) keep(ctx context.Context, req *Request, invalid error) (Result, error) {
	dead := *req.DeadLetter
	dead.Headers = append(reasonHeaders(invalid), dead.Headers...)
	kept := *req
	kept.DeadLetter = &dead
	checked := event.Checked{Definition: &event.Definition{Type: req.Type, Version: req.Version, Topic: dead.Topic}}
	result, err := d.accept(ctx, &kept, checked)
	if err != nil {
		return Result{}, d.count("", err)
	}
	d.metrics.kept()
	return result, nil
}

func reasonHeaders(invalid error) []event.Header {
	headers := []event.Header{{Name: event.HeaderProblem, Value: string(kindOf(invalid))}}
	if e, ok := invalid.(*event.Error); ok { //nolint:errorlint // the door's own, never wrapped
		headers = append(headers, event.Header{Name: event.HeaderProblemDetail, Value: e.Detail})
	}
	return headers
}
