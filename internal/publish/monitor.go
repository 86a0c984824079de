package publish

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

// monitor concludes from acknowledgements, failures and metadata whether Kafka
// answers, and counts the failures. Backends report to it.
type monitor struct {
	topics     *topics
	quarantine *quarantine
	logger     *slog.Logger
	metrics    *Metrics
	down       atomic.Bool  // no broker answers: refuse at once
	acked      atomic.Int64 // Unix nanoseconds of the last acknowledgement
}

// ended is the answer to the caller of a record of which the client has said what became
// of it.
func (m *monitor) ended(f *inFlight, r report) ack {
	switch {
	case r.local != nil:
		return ack{err: m.failed(r.local)}
	case r.err != nil:
		return ack{err: m.failed(m.refusedOrUnknown(f, r))}
	}
	m.acknowledged(f)
	return m.appended(r.at, f.record.Placement)
}

// refusedOrUnknown is the error of a record that was not acknowledged. A refusal that
// may repeat is remembered.
func (m *monitor) refusedOrUnknown(f *inFlight, r report) *event.Error {
	code, _ := kafka.ErrorCode(r.err)
	if refusal, refused := refusals[code]; refused {
		m.quarantine.refused(f.record.Topic, code, refusal, r.err)
		m.topics.relearn(f.record.Topic) // the topic's settings may have changed
	}
	return deliveryError(r, f.alone)
}

// acknowledged notes that a broker has appended f.
func (m *monitor) acknowledged(f *inFlight) {
	m.noteAck(f.record.Placement, f.record.Timestamp)
	m.quarantine.acknowledged(f.record.Placement, f.began)
}

// noteAck notes that a record of this placement, sent then, is acknowledged.
func (m *monitor) noteAck(place event.Placement, sent time.Time) {
	m.acked.Store(time.Now().UnixNano())
	m.topics.ackedNow(place.Topic, place.Partition, sent)
	m.up()
}

// appended is the answer to a record that a broker says is there, if it is where its
// placement says.
func (m *monitor) appended(at event.Position, place event.Placement) ack {
	switch {
	case at.Offset < 0:
		// Acknowledged as a duplicate whose offset the broker no longer knows: it is
		// written, but a receipt would have to invent where.
		return ack{err: m.failed(event.MaybeWritten(event.OutcomeUnknown, nil,
			"Kafka has the event but did not say where. Retry with the same Idempotency-Key to find out."))}
	case at.Partition != place.Partition:
		return ack{err: m.failed(event.Failure(
			fmt.Errorf("record for %s acknowledged in partition %d", kafka.Partition{Topic: place.Topic, Number: place.Partition}, at.Partition)))}
	}
	return ack{at: at}
}

// failed counts a failure. If Kafka or the topic caused it, metadata is asked for
// again: it shows whether the cause lasts, and some topics are refused by librdkafka
// until it has asked.
func (m *monitor) failed(e *event.Error) *event.Error {
	code := "none"
	c, ok := kafka.ErrorCode(e.Err)
	if ok {
		code = c.String()
	}
	// The outcome of a record that a broker refused at a second try is unknown. The refusal may
	// still be due to its topic.
	if e.Kind == event.LogUnavailable || ok && (c == librdkafka.ErrMsgTimedOut || refusals[c].kind == event.LogUnavailable) {
		m.topics.refreshSoon()
	}
	m.metrics.failures.WithLabelValues(string(e.Outcome), code).Inc()
	return e
}

// overdue notes which partitions of a producer were not acknowledged in time. If nothing
// else was acknowledged meanwhile, that says nothing about them.
func (m *monitor) overdue(producer string, late []overdue) {
	for n, w := range late {
		if m.acked.Load() > w.oldest.UnixNano() {
			m.quarantine.stuck(w.topic, w.partition)
		}
		m.metrics.givenUp.WithLabelValues(givenUpPartition).Inc()
		if n < namedOverdue {
			m.logger.Error("kafka did not acknowledge records of a partition in time: they are given up, and their outcome is unknown",
				"topic", w.topic, "partition", w.partition, "leader", m.topics.leader(w.topic, w.partition), "age", time.Since(w.oldest), "producer", producer)
		}
	}
	if more := len(late) - namedOverdue; more > 0 {
		m.logger.Error("kafka did not acknowledge records of further partitions in time", "partitions", more, "producer", producer)
	}
}

func (m *monitor) up() {
	if m.down.Load() && m.down.Swap(false) {
		m.logger.Info("kafka answers again")
	}
}

// allBrokersDown notes that librdkafka has lost every broker.
func (m *monitor) allBrokersDown(err error) {
	if !m.down.Swap(true) {
		m.logger.Error("no kafka broker can be reached: events are refused until one answers", "error", err)
	}
	m.topics.refreshSoon()
}

// noMetadata notes that a question for metadata, asked at begun, failed. It reports
// whether records were acknowledged since: under load an answer may just be late.
func (m *monitor) noMetadata(begun time.Time, err error) (alive bool) {
	alive = m.acked.Load() > begun.UnixNano()
	if !alive && !m.down.Swap(true) {
		m.logger.Error("kafka does not answer: events are refused until it does", "error", err)
	}
	return alive
}
