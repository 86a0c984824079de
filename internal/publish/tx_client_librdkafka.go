package publish

import (
	"context"
	"errors"
	"log/slog"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

const (
	// commitPause is between tries of a commit that librdkafka could not send.
	commitPause = 50 * time.Millisecond
	// markerPause is between a commit and the next transaction. Kafka writes the commit's
	// markers after its answer and refuses a transaction that begins sooner; librdkafka
	// then waits 20 ms.
	markerPause = 2 * time.Millisecond
)

// librdkafkaTx writes transactions through librdkafka. A refusal makes the whole
// transaction abortable, and leaves a gap in the partition's sequence numbers.
type librdkafkaTx struct {
	producer *librdkafkaProducer
	reports  chan librdkafka.Event
	read     chan struct{} // closed when no report is read any more
	began    time.Time     // the transaction
}

func newLibrdkafkaTx(cfg Config, id string, batchBytes int, logger *slog.Logger, onError func(*librdkafkaProducer, librdkafka.Error)) (*librdkafkaTx, error) {
	c := &librdkafkaTx{reports: make(chan librdkafka.Event, reportsBuffer), read: make(chan struct{})}
	var err error
	if c.producer, err = newTransactional(cfg, id, batchBytes, logger, onError); err != nil {
		return nil, err
	}
	go c.readReports()
	return c, nil
}

func (c *librdkafkaTx) initialise(ctx context.Context) error { return c.producer.initialise(ctx) }

func (c *librdkafkaTx) prepare(e *entry) {
	m := newMessage(e.record)
	m.Opaque = e
	e.prepared = m
}

func (c *librdkafkaTx) begin(context.Context, []*entry) error {
	c.began = time.Now()
	return c.producer.kp.BeginTransaction()
}

func (c *librdkafkaTx) send(e *entry) (taken bool, refused *event.Error) {
	m, _ := e.prepared.(*librdkafka.Message)
	err := c.producer.produce(m, c.reports)
	code, _ := kafka.ErrorCode(err)
	switch {
	case err == nil:
		return true, nil
	case code == librdkafka.ErrState, code == librdkafka.ErrFatal, errors.Is(err, errClosed):
		return false, nil
	}
	return false, produceError(err)
}

// readReports reads until the producer is closed.
func (c *librdkafkaTx) readReports() {
	defer close(c.read)
	for ev := range c.reports {
		m, ok := ev.(*librdkafka.Message)
		if !ok {
			continue
		}
		if e, ok := m.Opaque.(*entry); ok {
			e.group.report(e, c.outcome(m))
		}
	}
}

func (c *librdkafkaTx) outcome(m *librdkafka.Message) report {
	if err := m.TopicPartition.Error; err != nil {
		// What librdkafka drops from its queue when a transaction has failed is
		// unknown, too: it may wait there for its second try.
		return report{err: err, firstTry: surelyFirst(time.Since(c.began))}
	}
	return report{at: event.Position{Partition: m.TopicPartition.Partition, Offset: int64(m.TopicPartition.Offset)}}
}

// flush has nothing to do: librdkafka sends at once.
func (c *librdkafkaTx) flush() {}

func (c *librdkafkaTx) commit(ctx context.Context) error {
	for {
		err := c.producer.kp.CommitTransaction(ctx)
		var e librdkafka.Error
		deadline, limited := ctx.Deadline()
		if err == nil || !errors.As(err, &e) || !e.IsRetriable() || limited && time.Until(deadline) < commitPause {
			return err
		}
		backoff.Sleep(ctx, commitPause)
	}
}

func (c *librdkafkaTx) abort(ctx context.Context) error { return c.producer.kp.AbortTransaction(ctx) }

func (c *librdkafkaTx) pause() time.Duration { return markerPause }

func (c *librdkafkaTx) reusable() bool { return true }

func (c *librdkafkaTx) failed() <-chan struct{} { return c.producer.failed }

func (c *librdkafkaTx) queued() int { return c.producer.queued() }

func (c *librdkafkaTx) close() {
	c.producer.close(0)
	close(c.reports)
	<-c.read
}
