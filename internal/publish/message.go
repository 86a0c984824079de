package publish

import (
	"sync"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/event"
)

// pooledMessage is a record as librdkafka's client takes it. It is the largest
// allocation of an event, and is used again.
type pooledMessage struct {
	message librdkafka.Message
	topic   string
	headers []librdkafka.Header
	values  []byte // of all headers
}

var pooledMessages = sync.Pool{New: func() any { return newPooledMessage() }}

// newPooledMessage has room for the headers of most records. Its values are not nil:
// an empty header is not the same as one without a value.
func newPooledMessage() *pooledMessage { return &pooledMessage{values: make([]byte, 0, 512)} }

// fill fills an empty message. What it returns is valid until empty is called.
func (m *pooledMessage) fill(r event.Record) *librdkafka.Message {
	size := 0
	for _, h := range r.Headers {
		size += len(h.Value)
	}
	if cap(m.values) < size {
		m.values = make([]byte, 0, size) // now, because the headers are slices of it
	}
	for _, h := range r.Headers {
		start := len(m.values)
		m.values = append(m.values, h.Value...)
		m.headers = append(m.headers, librdkafka.Header{Key: h.Name, Value: m.values[start:len(m.values):len(m.values)]})
	}
	m.topic = r.Topic
	m.message = librdkafka.Message{
		TopicPartition: librdkafka.TopicPartition{Topic: &m.topic, Partition: r.Partition},
		Key:            r.Key, Value: r.Value, Headers: m.headers, Timestamp: r.Timestamp,
	}
	return &m.message
}

// empty forgets the record. The memory stays: a request's headers are bounded.
func (m *pooledMessage) empty() {
	clear(m.headers)
	*m = pooledMessage{headers: m.headers[:0], values: m.values[:0]}
}

// newMessage is a record as librdkafka's client takes it, for a caller that keeps it.
func newMessage(r event.Record) *librdkafka.Message { return newPooledMessage().fill(r) }
