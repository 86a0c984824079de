package publish

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/kafka"
)

// monitor concludes from acknowledgements, failures and metadata whether Kafka
// answers, and counts the failures. Backends report to it.
type monitor struct {
	topics  *topics
	logger  *slog.Logger
	metrics *Metrics
	down    atomic.Bool  // no broker answers: refuse at once
	acked   atomic.Int64 // Unix nanoseconds of the last acknowledgement
}

// position reads the delivery report of a record that was sent to place.
func (m *monitor) position(ev librdkafka.Event, place event.Placement, sent time.Time) (event.Position, error) {
	now := failpoint.Now()
	report, ok := ev.(*librdkafka.Message)
	if !ok {
		return event.Position{}, m.failed(event.Failure(fmt.Errorf("delivery report is a %T", ev)))
	}
	at := event.Position{Partition: report.TopicPartition.Partition, Offset: int64(report.TopicPartition.Offset)}
	if err := report.TopicPartition.Error; err != nil {
		var e librdkafka.Error
		if !errors.As(err, &e) {
			e = librdkafka.NewError(librdkafka.ErrFail, err.Error(), false)
		}
		return event.Position{}, m.failed(deliveryError(e, now.Sub(sent)))
	}
	m.acked.Store(now.UnixNano())
	m.topics.ackedNow(place.Topic, at.Partition, sent)
	m.up()
	switch {
	case at.Offset < 0:
		// Acknowledged as a duplicate whose offset the broker no longer knows: it is
		// written, but a receipt would have to invent where.
		return event.Position{}, m.failed(event.MaybeWritten(event.OutcomeUnknown, nil,
			"Kafka has the event but did not say where. Retry with the same Idempotency-Key to find out."))
	case at.Partition != place.Partition:
		return event.Position{}, m.failed(event.Failure(
			fmt.Errorf("record for %s acknowledged in partition %d", kafka.Partition{Topic: place.Topic, Number: place.Partition}, at.Partition)))
	}
	return at, nil
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
	if e.Kind == event.LogUnavailable || ok && c == librdkafka.ErrMsgTimedOut {
		m.topics.refreshSoon()
	}
	m.metrics.failures.WithLabelValues(string(e.Outcome), code).Inc()
	return e
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
