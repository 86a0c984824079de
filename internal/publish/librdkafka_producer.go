package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/backoff"
	"eventgateway/internal/kafka"
)

const (
	// defaultBatchBytes is librdkafka's own default for batch.size.
	defaultBatchBytes = 1_000_000
	// batchOverhead is what a batch adds around its records, generously.
	batchOverhead = 4096
	// socketTimeout is how long a broker may leave a request unanswered before
	// librdkafka replaces the connection. What was in flight there is sent again, to
	// the leader that the partition has by then.
	socketTimeout = 2 * time.Second
	// queueFactor: librdkafka's queue may hold twice the admitted bytes, so
	// that headers and keys fit and admission, not the queue, is the limit.
	queueFactor = 2
	// eventsBuffer is small: a full one only slows librdkafka's poller.
	eventsBuffer = 4096
	// initialiseStep is how long one call into librdkafka waits: it cannot be
	// cancelled, but it can be resumed.
	initialiseStep  = 500 * time.Millisecond
	initialisePause = 50 * time.Millisecond
	flushStep       = 100 * time.Millisecond
)

// librdkafkaProducer is one producer of librdkafka: of one transactional id, or
// behind a client that is not transactional.
type librdkafkaProducer struct {
	id         string
	batchBytes int
	kp         *librdkafka.Producer
	logger     *slog.Logger
	onError    func(*librdkafkaProducer, librdkafka.Error) // told of errors that concern no single record
	fatal      atomic.Bool
	failed     chan struct{} // closed when fatal is set
	end        func()        // closes kp
	ended      chan struct{} // closed when that is done

	mu     sync.RWMutex // held for reading while kp is called
	closed bool
}

// newTransactional starts a producer with a transactional id.
func newTransactional(cfg Config, id string, batchBytes int, logger *slog.Logger, onError func(*librdkafkaProducer, librdkafka.Error)) (*librdkafkaProducer, error) {
	conf := producerSettings(cfg, batchBytes)
	// A whole group is sent at once: nothing is gained by waiting.
	delete(conf, "queue.buffering.max.ms") // another name of linger.ms
	conf["linger.ms"] = 0
	conf["transactional.id"] = id
	if own, ok := conf["socket.timeout.ms"].(int); ok { // librdkafka demands it
		conf["socket.timeout.ms"] = min(own, int(cfg.TransactionTimeout.Milliseconds()))
	}
	conf["transaction.timeout.ms"] = int(cfg.TransactionTimeout.Milliseconds())
	return newLibrdkafka(conf, id, batchBytes, logger, onError)
}

func newLibrdkafka(conf librdkafka.ConfigMap, id string, batchBytes int, logger *slog.Logger, onError func(*librdkafkaProducer, librdkafka.Error)) (*librdkafkaProducer, error) {
	p := &librdkafkaProducer{id: id, batchBytes: batchBytes, logger: logger, onError: onError, failed: make(chan struct{}), ended: make(chan struct{})}
	var err error
	p.kp, p.end, err = kafka.StartProducer(conf, logger, func(e librdkafka.Error) {
		if e.IsFatal() && !p.fatal.Swap(true) {
			close(p.failed)
		}
		p.onError(p, e)
	})
	if err != nil {
		return nil, fmt.Errorf("create kafka producer: %w", err)
	}
	return p, nil
}

func producerSettings(cfg Config, batchBytes int) librdkafka.ConfigMap {
	return cfg.connection().ProducerSettings(librdkafka.ConfigMap{
		"linger.ms":         0,
		"socket.timeout.ms": int(socketTimeout.Milliseconds()),
	}, librdkafka.ConfigMap{ // what the guarantee needs
		"acks":                         "all",
		"enable.idempotence":           true,
		"message.timeout.ms":           int(cfg.DeliveryTimeout.Milliseconds()),
		"retry.backoff.ms":             int(retryBackoff.Milliseconds()),
		"retry.backoff.max.ms":         1000, // a smaller one would undercut surelyFirstTry
		"batch.size":                   batchBytes,
		"message.max.bytes":            max(defaultBatchBytes, cfg.MaxEventBytes+64<<10),
		"queue.buffering.max.messages": 1_000_000,
		"queue.buffering.max.kbytes":   int(max(1024, cfg.InFlightLimit*queueFactor/1024)),
		"go.delivery.report.fields":    "none",
		"go.events.channel.size":       eventsBuffer,
		"go.produce.channel.size":      1, // unused
	})
}

// produce hands a message to librdkafka; its delivery report goes to done.
func (p *librdkafkaProducer) produce(m *librdkafka.Message, done chan librdkafka.Event) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return errClosed
	}
	return p.kp.Produce(m, done)
}

var errClosed = errors.New("producer is closed")

// flush waits until all records in flight are done, limit is over, or the
// producer has failed. It returns how many are left.
func (p *librdkafkaProducer) flush(limit time.Duration) int {
	deadline := time.Now().Add(limit)
	for {
		left := p.kp.Flush(int(max(0, min(flushStep, time.Until(deadline))).Milliseconds()))
		if left == 0 || p.fatal.Load() || time.Until(deadline) < time.Millisecond {
			return left
		}
	}
}

// close takes no more records and waits for those in flight for at most limit;
// what is left then gets an unknown outcome. It may be called twice.
func (p *librdkafkaProducer) close(limit time.Duration) {
	p.mu.Lock()
	already := p.closed
	p.closed = true
	p.mu.Unlock()
	if already {
		<-p.ended
		return
	}
	if left := p.flush(limit); left > 0 {
		p.logger.Warn("records unacknowledged when the producer closed: their outcome is unknown", "records", left)
		_ = p.kp.Purge(librdkafka.PurgeInFlight | librdkafka.PurgeQueue)
		p.kp.Flush(1000) // delivers the reports of purged records
	}
	p.end()
	close(p.ended)
}

// queued is the number of records that wait for an acknowledgement.
func (p *librdkafkaProducer) queued() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return 0
	}
	return p.kp.Len()
}

// initialise prepares a transactional producer. When it returns nil, no earlier
// producer with the same id can append or commit any more, and what it has committed
// is visible.
func (p *librdkafkaProducer) initialise(ctx context.Context) error {
	// librdkafka looks for the coordinator twice a second, and first before it
	// is connected. Connecting it first saves that half second.
	if err := p.connect(kafka.TimeLeft(ctx, metadataTimeout)); err != nil {
		return err
	}
	for {
		again, err := p.initialiseStep(ctx)
		switch {
		case err == nil:
			return nil
		case !again || ctx.Err() != nil:
			return fmt.Errorf("initialise transactions of %s: %w", p.id, err)
		}
		backoff.Sleep(ctx, initialisePause)
	}
}

// connect waits until a broker has answered.
func (p *librdkafkaProducer) connect(limit time.Duration) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return errClosed
	}
	if _, err := p.kp.GetMetadata(nil, false, int(limit.Milliseconds())); err != nil {
		return fmt.Errorf("ask kafka for metadata: %w", err)
	}
	return nil
}

// initialiseStep waits for initialiseStep. It reports whether to call it again.
func (p *librdkafkaProducer) initialiseStep(ctx context.Context) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, initialiseStep)
	defer cancel()
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return false, errClosed
	}
	err = p.kp.InitTransactions(ctx)
	var e librdkafka.Error
	return errors.As(err, &e) && e.IsRetriable(), err
}
