package publish

import (
	"sync"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/event"
)

// parcel is a record as librdkafka's client takes it. It is the largest thing
// that an event needs memory for, and is used again.
type parcel struct {
	message kafka.Message
	topic   string
	headers []kafka.Header
	values  []byte // of all headers
}

var parcels = sync.Pool{New: func() any { return newParcel() }}

// newParcel has room for the headers of most records. Its values are not nil:
// an empty header is not the same as one without a value.
func newParcel() *parcel { return &parcel{values: make([]byte, 0, 512)} }

// pack fills an empty parcel. The message is valid until the parcel is emptied.
func (p *parcel) pack(r event.Record) *kafka.Message {
	size := 0
	for _, h := range r.Headers {
		size += len(h.Value)
	}
	if cap(p.values) < size {
		p.values = make([]byte, 0, size) // now, for the headers are slices of it
	}
	for _, h := range r.Headers {
		start := len(p.values)
		p.values = append(p.values, h.Value...)
		p.headers = append(p.headers, kafka.Header{Key: h.Name, Value: p.values[start:len(p.values):len(p.values)]})
	}
	p.topic = r.Topic
	p.message = kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: &p.topic, Partition: r.Partition},
		Key:            r.Key, Value: r.Value, Headers: p.headers, Timestamp: r.Timestamp,
	}
	return &p.message
}

// empty lets go of what belongs to the record. The room stays: headers are
// bounded by a request's.
func (p *parcel) empty() {
	clear(p.headers)
	*p = parcel{headers: p.headers[:0], values: p.values[:0]}
}

// message is a record as librdkafka's client takes it, for one that keeps it.
func message(r event.Record) *kafka.Message { return newParcel().pack(r) }
