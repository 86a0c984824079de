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
	"github.com/google/uuid"

	"eventgateway/internal/backoff"
	"eventgateway/internal/kafka"
)

const (
	// defaultBatchBytes is librdkafka's own default for batch.size.
	defaultBatchBytes = 1_000_000
	// batchOverhead is what a batch adds around its records, generously.
	batchOverhead = 4096
	// queueFactor: librdkafka's queue may hold twice the admitted bytes, so
	// that headers and keys fit and admission, not the queue, is the limit.
	queueFactor = 2
	// idempotentPrefix begins the ids of producers that are not transactional; no
	// transactional id begins with it.
	idempotentPrefix = "i-"
	// eventsBuffer is small: a full one only slows librdkafka's poller.
	eventsBuffer = 4096
	// initialiseStep is how long one call into librdkafka waits: it cannot be
	// cancelled, but it can be resumed.
	initialiseStep  = 500 * time.Millisecond
	initialisePause = 50 * time.Millisecond
	flushStep       = 100 * time.Millisecond
)

// incarnation is one librdkafka producer. Claims name it, and records of a
// claim go through it only.
type incarnation struct {
	id         string
	batchBytes int
	kp         *librdkafka.Producer
	admin      *kafka.Admin // uses kp's connections
	logger     *slog.Logger
	onError    func(*incarnation, librdkafka.Error) // told of errors that concern no single record
	fatal      atomic.Bool
	failed     chan struct{} // closed when fatal is set
	overdue    *overdue      // watches records that wait; nil in a transactional one
	pumps      sync.WaitGroup
	stop       chan struct{} // closed after kp is

	mu     sync.RWMutex // held for reading while kp is called
	closed bool
}

// newIncarnation starts a producer, a transactional one unless transactionalID is "".
func newIncarnation(cfg Config, transactionalID string, batchBytes int, logger *slog.Logger, onError func(*incarnation, librdkafka.Error)) (*incarnation, error) {
	id := transactionalID
	conf := producerSettings(cfg, batchBytes)
	if transactionalID == "" {
		id = idempotentPrefix + uuid.NewString()
		// When librdkafka abandons a record it starts a new epoch. Brokers then do not
		// recognise batches of the old epoch, so batches in flight may be written twice
		// (docs/adr/0011). Therefore librdkafka never abandons a record; the gateway
		// abandons the whole incarnation. With one request in flight, a refusal leaves
		// no gap before the next request.
		conf["message.timeout.ms"] = 0
		conf["max.in.flight.requests.per.connection"] = 1
	} else {
		// A whole group is sent at once: nothing is gained by waiting.
		delete(conf, "queue.buffering.max.ms") // another name of linger.ms
		conf["linger.ms"] = 0
		conf["transactional.id"] = transactionalID
		conf["transaction.timeout.ms"] = int(cfg.TransactionTimeout.Milliseconds())
	}
	logs := make(chan librdkafka.LogEvent, 64)
	conf["go.logs.channel"] = logs
	kp, err := librdkafka.NewProducer(&conf)
	if err != nil {
		return nil, fmt.Errorf("create kafka producer: %w", err)
	}
	admin, err := kafka.AdminOf(kp)
	if err != nil {
		kp.Close()
		return nil, err
	}
	i := &incarnation{
		id: id, batchBytes: batchBytes, kp: kp, admin: admin, logger: logger,
		onError: onError, stop: make(chan struct{}), failed: make(chan struct{}),
	}
	i.pumps.Go(i.pumpEvents)
	i.pumps.Go(func() { kafka.ForwardLogs(logger, logs, i.stop) })
	return i, nil
}

func producerSettings(cfg Config, batchBytes int) librdkafka.ConfigMap {
	return cfg.connection().Settings(librdkafka.ConfigMap{
		"linger.ms":                0,
		"reconnect.backoff.ms":     50,
		"reconnect.backoff.max.ms": 1000, // be back soon after Kafka is
		"socket.timeout.ms":        max(int(cfg.DeliveryTimeout.Milliseconds()), 1000),
		"socket.keepalive.enable":  true,
		"socket.nagle.disable":     true,
		"enable.metrics.push":      false,
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
		"go.logs.channel.enable":       true,
	})
}

// produce hands a message to librdkafka; its delivery report goes to done.
func (i *incarnation) produce(m *librdkafka.Message, done chan librdkafka.Event) error {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.closed {
		return errClosed
	}
	return i.kp.Produce(m, done)
}

var errClosed = errors.New("producer is closed")

// pumpEvents reads until the producer is closed: an unread channel would block
// librdkafka.
func (i *incarnation) pumpEvents() {
	for ev := range i.kp.Events() {
		if e, ok := ev.(librdkafka.Error); ok {
			if e.IsFatal() {
				i.fail()
			}
			i.onError(i, e)
		}
	}
}

// fail marks the incarnation as failed. It returns false if it already was.
func (i *incarnation) fail() bool {
	if i.fatal.Swap(true) {
		return false
	}
	close(i.failed)
	return true
}

// flush waits until all records in flight are done, limit is over, or the
// incarnation has failed. It returns how many are left.
func (i *incarnation) flush(limit time.Duration) int {
	deadline := time.Now().Add(limit)
	for {
		left := i.kp.Flush(int(max(0, min(flushStep, time.Until(deadline))).Milliseconds()))
		if left == 0 || i.fatal.Load() || time.Until(deadline) < time.Millisecond {
			return left
		}
	}
}

// close takes no more records and waits for those in flight for at most limit;
// what is left then gets an unknown outcome. It may be called twice.
func (i *incarnation) close(limit time.Duration) {
	i.mu.Lock()
	already := i.closed
	i.closed = true
	i.mu.Unlock()
	if already {
		i.pumps.Wait()
		return
	}
	if left := i.flush(limit); left > 0 {
		i.logger.Warn("records unacknowledged when the producer closed: their outcome is unknown", "records", left)
		_ = i.kp.Purge(librdkafka.PurgeInFlight | librdkafka.PurgeQueue)
		i.kp.Flush(1000) // delivers the reports of purged records
	}
	i.admin.Close() // only now: it waits for calls in progress, and a purge must not
	i.kp.Close()
	close(i.stop)
	i.pumps.Wait()
}

// queued is the number of records that wait for an acknowledgement.
func (i *incarnation) queued() int {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.closed {
		return 0
	}
	return i.kp.Len()
}

// initialise prepares a transactional producer. When it returns nil, no earlier
// producer with the same id can append or commit any more, and what it has committed
// is visible.
func (i *incarnation) initialise(ctx context.Context) error {
	// librdkafka looks for the coordinator twice a second, and first before it
	// is connected. Connecting it first saves that half second.
	if _, err := i.admin.Brokers(kafka.TimeLeft(ctx, metadataTimeout)); err != nil {
		return err
	}
	for {
		again, err := i.initialiseStep(ctx)
		switch {
		case err == nil:
			return nil
		case !again || ctx.Err() != nil:
			return fmt.Errorf("initialise transactions of %s: %w", i.id, err)
		}
		backoff.Sleep(ctx, initialisePause)
	}
}

// initialiseStep waits for initialiseStep. It reports whether to call it again.
func (i *incarnation) initialiseStep(ctx context.Context) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, initialiseStep)
	defer cancel()
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.closed {
		return false, errClosed
	}
	err = i.kp.InitTransactions(ctx)
	var e librdkafka.Error
	return errors.As(err, &e) && e.IsRetriable(), err
}
