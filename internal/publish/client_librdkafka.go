package publish

import (
	"fmt"
	"log/slog"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

// reportsBuffer is how many delivery reports may wait to be read.
const reportsBuffer = 4096

// librdkafkaClient writes through one librdkafka producer. librdkafka never times a
// record out (docs/adr/0011), and never refuses one and goes on: a refusal would
// renumber what is in flight, which brokers would not recognise. So a refusal ends the
// client.
type librdkafkaClient struct {
	producer *librdkafkaProducer
	reports  chan librdkafka.Event
	reporter reporter
	read     chan struct{} // closed when no report is read any more
}

func newLibrdkafkaClient(cfg Config, batchBytes int, to reporter, onError func(librdkafka.Error), logger *slog.Logger) (*librdkafkaClient, error) {
	conf := producerSettings(cfg, batchBytes)
	// With one request in flight a refusal leaves nothing behind it on the way.
	conf["message.timeout.ms"] = 0
	conf["max.in.flight.requests.per.connection"] = 1
	conf["enable.gapless.guarantee"] = true
	conf["request.timeout.ms"] = int(produceTimeout.Milliseconds())
	c := &librdkafkaClient{reports: make(chan librdkafka.Event, reportsBuffer), reporter: to, read: make(chan struct{})}
	var err error
	c.producer, err = newLibrdkafka(conf, "", batchBytes, logger, func(_ *librdkafkaProducer, e librdkafka.Error) {
		onError(e)
		if e.IsFatal() || fatalCodes[e.Code()] {
			to.fail("kafka's client failed for good", e)
		}
	})
	if err != nil {
		return nil, err
	}
	go c.readReports()
	return c, nil
}

func (c *librdkafkaClient) send(f *inFlight) *event.Error {
	m, _ := pooledMessages.Get().(*pooledMessage)
	message := m.fill(f.record)
	message.Opaque = f
	err := c.producer.produce(message, c.reports) // copies the record
	m.empty()
	pooledMessages.Put(m)
	if err != nil {
		return produceError(err)
	}
	return nil
}

// sendAll never gets records that follow others.
func (c *librdkafkaClient) sendAll(all []*inFlight) {
	for _, f := range all {
		if refused := c.send(f); refused != nil {
			c.reporter.report(f, report{local: refused})
		}
	}
}

// readReports reads until the producer is closed.
func (c *librdkafkaClient) readReports() {
	defer close(c.read)
	for ev := range c.reports {
		m, ok := ev.(*librdkafka.Message)
		if !ok {
			continue
		}
		if f, ok := m.Opaque.(*inFlight); ok {
			c.ended(f, m)
		}
	}
}

func (c *librdkafkaClient) ended(f *inFlight, m *librdkafka.Message) {
	err := m.TopicPartition.Error
	if err == nil {
		c.reporter.report(f, report{at: event.Position{Partition: m.TopicPartition.Partition, Offset: int64(m.TopicPartition.Offset)}})
		return
	}
	if _, ok := kafka.ErrorCode(err); !ok {
		err = librdkafka.NewError(librdkafka.ErrFail, fmt.Sprintf("delivery report: %v", err), false)
	}
	c.reporter.report(f, report{err: err, firstTry: surelyFirst(time.Since(f.began))})
	if code, _ := kafka.ErrorCode(err); code == librdkafka.ErrPurgeQueue || code == librdkafka.ErrPurgeInflight {
		return // close did that
	}
	c.reporter.fail("a record was refused, after which librdkafka would number the others anew",
		fmt.Errorf("%s: %w", kafka.Partition{Topic: f.record.Topic, Number: f.record.Partition}, err))
}

// abandon is not possible: librdkafka withdraws all records or none.
func (c *librdkafkaClient) abandon(*waits) bool { return false }

// close withdraws what is left.
func (c *librdkafkaClient) close() {
	c.producer.close(0)
	close(c.reports)
	<-c.read
}
