package publish

import (
	"context"
	"fmt"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/kafka"
)

const (
	scanPoll = 100 // ms
	// scanIdle is how long a partition may bring nothing until its reader is held up.
	scanIdle = 2 * time.Second
)

// librdkafkaReader reads where the connection cannot be expressed in franz-go.
type librdkafkaReader struct{ consumer *librdkafka.Consumer }

func newLibrdkafkaReader(connection kafka.Connection) (*librdkafkaReader, error) {
	consumer, err := connection.NewConsumer(librdkafka.ConfigMap{
		"group.id":                   "gateway-recovery", // required, but no group is joined
		"enable.auto.commit":         false,
		"enable.auto.offset.store":   false,
		"auto.offset.reset":          "error",
		"enable.partition.eof":       true,
		"isolation.level":            "read_committed",
		"queued.max.messages.kbytes": 16 << 10,
		"fetch.wait.max.ms":          100,
		"enable.metrics.push":        false,
	})
	if err != nil {
		return nil, err
	}
	return &librdkafkaReader{consumer}, nil
}

func (l *librdkafkaReader) close() { _ = l.consumer.Close() }

func (l *librdkafkaReader) read(ctx context.Context, s span, visit func(*logRecord) error) (next int64, err error) {
	if s.from >= s.to {
		return s.from, nil
	}
	topicName := s.Topic
	at := librdkafka.TopicPartition{Topic: &topicName, Partition: s.Number, Offset: librdkafka.Offset(s.from)}
	if err := l.consumer.Assign([]librdkafka.TopicPartition{at}); err != nil {
		return s.from, fmt.Errorf("read back from kafka: %w", err)
	}
	defer func() { _ = l.consumer.Unassign() }()
	pass := &librdkafkaPass{span: s, visit: visit, next: s.from, cause: "kafka sends nothing"}
	for last := time.Now(); pass.next < s.to; {
		if err := ctx.Err(); err != nil {
			return pass.next, fmt.Errorf("read back from kafka: %w", err)
		}
		before := pass.next
		if err := pass.take(l.consumer.Poll(scanPoll)); err != nil {
			return pass.next, err
		}
		if pass.next > before {
			last = time.Now()
		} else if time.Since(last) > scanIdle {
			return pass.next, &heldUp{part: s.Partition, cause: pass.cause, err: pass.err}
		}
	}
	return pass.next, nil
}

// librdkafkaPass is one reading of a span.
type librdkafkaPass struct {
	span
	visit func(*logRecord) error
	next  int64  // everything before it has been seen
	cause string // why nothing comes, for all that is known
	err   error
}

// take takes one of the consumer's events.
func (p *librdkafkaPass) take(ev librdkafka.Event) error {
	switch ev := ev.(type) {
	case *librdkafka.Message:
		if err := ev.TopicPartition.Error; err != nil {
			return p.failed(err)
		}
		if offset := int64(ev.TopicPartition.Offset); offset < p.to && p.is(ev.TopicPartition) {
			if err := p.visit(recordOf(ev)); err != nil {
				return err
			}
		}
		p.reached(ev.TopicPartition, 1)
	case librdkafka.PartitionEOF:
		at := librdkafka.TopicPartition(ev)
		if p.is(at) {
			p.cause, p.err = openTransaction(int64(at.Offset)), nil
		}
		p.reached(at, 0)
	case librdkafka.Error:
		return p.failed(ev)
	}
	return nil
}

// is says whether an event concerns the span: some of the assignment before may be left.
func (p *librdkafkaPass) is(at librdkafka.TopicPartition) bool {
	return *at.Topic == p.Topic && at.Partition == p.Number && int64(at.Offset) >= p.next
}

func (p *librdkafkaPass) reached(at librdkafka.TopicPartition, more int64) {
	if p.is(at) {
		p.next = int64(at.Offset) + more
	}
}

func (p *librdkafkaPass) failed(err error) error {
	e, _ := err.(librdkafka.Error) //nolint:errorlint // librdkafka wraps nothing here
	switch {
	case e.Code() == librdkafka.ErrAutoOffsetReset || e.Code() == librdkafka.ErrOffsetOutOfRange:
		return fmt.Errorf("read back from kafka: %s at %d: %w: %w", p.Partition, p.next, errTruncated, err)
	case e.IsFatal():
		return fmt.Errorf("read back from kafka: %s: %w", p.Partition, err)
	}
	p.cause, p.err = err.Error(), err // librdkafka continues by itself
	return nil
}

func recordOf(m *librdkafka.Message) *logRecord {
	r := &logRecord{
		Partition: kafka.Partition{Topic: *m.TopicPartition.Topic, Number: m.TopicPartition.Partition},
		offset:    int64(m.TopicPartition.Offset), timestamp: m.Timestamp,
		stamped: m.TimestampType == librdkafka.TimestampLogAppendTime,
		key:     m.Key, value: m.Value, headers: make([]kgo.RecordHeader, len(m.Headers)),
	}
	for i, h := range m.Headers {
		r.headers[i] = kgo.RecordHeader{Key: h.Key, Value: h.Value}
	}
	return r
}
