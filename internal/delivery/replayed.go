package delivery

import (
	"strconv"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

// original is a record as it was before it became a dead letter, if it was replayed to this
// subscription: at the place that its headers name. The endpoint then gets the same id and
// sequence as before, and a dead letter of a further round goes to the topic of the first.
// Other records are returned as they are.
func (c *Config) original(r *kafka.Record) *kafka.Record {
	if r.Topic != ReplayTopic(c.Name) {
		return r
	}
	from := *r
	for _, h := range r.Headers {
		value := string(h.Value)
		switch h.Key {
		case event.DeadTopic:
			from.Topic = value
		case event.DeadPartition:
			if n, err := strconv.ParseInt(value, 10, 32); err == nil {
				from.Partition = int32(n)
			}
		case event.DeadOffset:
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				from.Offset = n
			}
		case event.DeadTimestamp:
			if t, err := time.Parse(time.RFC3339Nano, value); err == nil {
				from.Timestamp = t
			}
		}
	}
	return &from
}
