package publish

import (
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/preflight"
)

// inadmissible is why a broker would refuse the record for its topic's settings, as far
// as they are known; nil if it would take it. Asking here costs nothing, while a refusal by
// a broker disturbs the records around it. now is the gateway's clock.
func inadmissible(t topic, r event.Record, now time.Time) *event.Error {
	if size := recordSize(r); size > t.maxBytes {
		return event.Refuse(event.EventTooLarge,
			"With its headers the event is %d bytes; the Kafka topic %s takes at most %d.", size, r.Topic, t.maxBytes)
	}
	if t.compacted && r.Key == nil {
		return event.Refuse(event.LogUnavailable,
			"The Kafka topic %s is compacted and takes only records with a key, which events of this type do not have. Nothing was written;"+
				" the operator must set the topic's cleanup.policy to delete, or give the event type an entity key.", r.Topic)
	}
	if by, future := t.timestamps.exceeded(r.Timestamp, now); by > 0 {
		setting := "message.timestamp.before.max.ms"
		if future {
			setting = "message.timestamp.after.max.ms"
		}
		return event.Refuse(event.LogUnavailable,
			"The record's timestamp is %s further from the present than the Kafka topic %s takes. Nothing was written; send it again."+
				" If that does not help, the operator must raise the topic's %s.", by, r.Topic, setting)
	}
	return nil
}

// refusesMarkers is why no transaction may contain a record of the topic; nil if it may.
func refusesMarkers(t topic, name string) *event.Error {
	if !t.timestamps.before.set || t.timestamps.before.most >= preflight.LeastMarkerAge {
		return nil
	}
	return event.Refuse(event.LogUnavailable,
		"The Kafka topic %s has message.timestamp.before.max.ms=%d, with which Kafka may not be able to end a transaction. Nothing was written;"+
			" the operator must raise it to at least %d.", name, t.timestamps.before.most.Milliseconds(), preflight.LeastMarkerAge.Milliseconds())
}

// exceeded is by how much a timestamp is out of bounds, 0 if it is not, and whether it
// is in the future. Kafka compares milliseconds.
func (b timestampBounds) exceeded(timestamp, now time.Time) (by time.Duration, future bool) {
	age := time.Duration(now.UnixMilli()-timestamp.UnixMilli()) * time.Millisecond
	switch {
	case b.before.set && age > b.before.most:
		return age - b.before.most, false
	case b.after.set && -age > b.after.most:
		return -age - b.after.most, true
	}
	return 0, false
}

// recordSize is at least what the record takes in a batch of its own
// (record batch format v2: 61 bytes of batch, up to 5 bytes a length).
func recordSize(r event.Record) int {
	size := 61 + 21 + len(r.Key) + len(r.Value) + 10
	for _, h := range r.Headers {
		size += len(h.Name) + len(h.Value) + 10
	}
	return size
}
