package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/google/uuid"
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
)

// incarnation is one librdkafka producer. Claims name it, and records of a
// claim go through it only.
type incarnation struct {
	id         string
	batchBytes int
	kp         *kafka.Producer
	admin      *kafka.AdminClient // kp's own
	logger     *slog.Logger
	report     func(*incarnation, kafka.Error) // told of errors that concern no single record
	fatal      atomic.Bool
	failed     chan struct{} // closed when fatal is set
	overdue    *overdue      // records that wait in it, nil in a transactional one
	pumps      sync.WaitGroup
	stop       chan struct{} // closed when librdkafka is

	mu     sync.RWMutex // held for reading while librdkafka is called
	closed bool
}

// reportChannels are for delivery reports. They are used again.
var reportChannels = sync.Pool{New: func() any {
	return make(chan kafka.Event, 1) // buffered: librdkafka's poller never waits for a caller
}}

// newIncarnation starts a producer: a transactional one if it is given a
// transactional id.
func newIncarnation(cfg Config, transactionalID string, batchBytes int, logger *slog.Logger, report func(*incarnation, kafka.Error)) (*incarnation, error) {
	id := transactionalID
	conf := producerSettings(cfg, batchBytes)
	if transactionalID == "" {
		id = idempotentPrefix + uuid.NewString()
		// When librdkafka gives up a record, it goes on under a new epoch, in which
		// brokers do not recognise records that they have from the old one: what
		// is in flight elsewhere may be written twice (docs/adr/0011). So it never
		// gives up: who waits does, and then the whole incarnation goes. Nor may it
		// take a refusal of one request for a gap before the next.
		conf["message.timeout.ms"] = 0
		conf["max.in.flight.requests.per.connection"] = 1
	} else {
		// A lane hands over a whole group at once: nothing is gained by waiting.
		delete(conf, "queue.buffering.max.ms") // another name of linger.ms
		conf["linger.ms"] = 0
		conf["transactional.id"] = transactionalID
		conf["transaction.timeout.ms"] = int(cfg.TransactionTimeout.Milliseconds())
	}
	logs := make(chan kafka.LogEvent, 64)
	conf["go.logs.channel"] = logs
	kp, err := kafka.NewProducer(&conf)
	if err != nil {
		return nil, fmt.Errorf("create kafka producer: %w", err)
	}
	admin, err := kafka.NewAdminClientFromProducer(kp)
	if err != nil {
		kp.Close()
		return nil, fmt.Errorf("create kafka admin client: %w", err)
	}
	i := &incarnation{
		id: id, batchBytes: batchBytes, kp: kp, admin: admin, logger: logger,
		report: report, stop: make(chan struct{}), failed: make(chan struct{}),
	}
	i.pumps.Go(i.pumpEvents)
	i.pumps.Go(func() { pumpLogs(logger, logs, i.stop) })
	return i, nil
}

func producerSettings(cfg Config, batchBytes int) kafka.ConfigMap {
	conf := kafka.ConfigMap{
		"linger.ms":                0,
		"reconnect.backoff.ms":     50,
		"reconnect.backoff.max.ms": 1000, // be back soon after Kafka is
		"socket.timeout.ms":        max(int(cfg.DeliveryTimeout.Milliseconds()), 1000),
		"socket.keepalive.enable":  true,
		"socket.nagle.disable":     true,
		"enable.metrics.push":      false,
	}
	for k, v := range cfg.Properties {
		conf[k] = v
	}
	maxMessage := max(defaultBatchBytes, cfg.MaxEventBytes+64<<10)
	// What the promise needs comes last and wins; internal/config refuses these
	// names in kafka.properties.
	for k, v := range map[string]any{
		"bootstrap.servers":            strings.Join(cfg.Brokers, ","),
		"allow.auto.create.topics":     false,
		"acks":                         "all",
		"enable.idempotence":           true,
		"message.timeout.ms":           int(cfg.DeliveryTimeout.Milliseconds()),
		"retry.backoff.ms":             int(retryBackoff.Milliseconds()),
		"retry.backoff.max.ms":         1000, // a smaller one would undercut surelyFirstTry
		"batch.size":                   batchBytes,
		"message.max.bytes":            maxMessage,
		"queue.buffering.max.messages": 1_000_000,
		"queue.buffering.max.kbytes":   int(max(1024, cfg.InFlightLimit*queueFactor/1024)),
		"go.delivery.report.fields":    "none",
		"go.events.channel.size":       eventsBuffer,
		"go.produce.channel.size":      1, // unused
		"go.logs.channel.enable":       true,
	} {
		conf[k] = v
	}
	return conf
}

// produce hands a message to librdkafka; its delivery report goes to done.
func (i *incarnation) produce(m *kafka.Message, done chan kafka.Event) error {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.closed {
		return errClosed
	}
	return i.kp.Produce(m, done)
}

var errClosed = errors.New("producer is closed")

// use calls fn with the admin client unless the producer is closed.
func (i *incarnation) use(fn func(*kafka.AdminClient) error) error {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.closed {
		return errClosed
	}
	return fn(i.admin)
}

// metadata asks for the cluster's topics (all) or for its brokers alone.
func (i *incarnation) metadata(all bool, timeout time.Duration) (md *kafka.Metadata, err error) {
	err = i.use(func(admin *kafka.AdminClient) (err error) {
		md, err = admin.GetMetadata(nil, all, int(timeout.Milliseconds()))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask kafka for metadata: %w", err)
	}
	return md, nil
}

// topicMetadata asks for one topic.
func (i *incarnation) topicMetadata(name string, timeout time.Duration) (md *kafka.Metadata, err error) {
	err = i.use(func(admin *kafka.AdminClient) (err error) {
		md, err = admin.GetMetadata(&name, false, int(timeout.Milliseconds()))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask kafka for metadata: %w", err)
	}
	return md, nil
}

// pumpEvents reads until the producer is closed: an unread channel would wedge
// librdkafka.
func (i *incarnation) pumpEvents() {
	for ev := range i.kp.Events() {
		if e, ok := ev.(kafka.Error); ok {
			if e.IsFatal() {
				i.fail()
			}
			i.report(i, e)
		}
	}
}

// fail marks the incarnation as one that nothing is to be expected from any more.
// It reports whether it was the first to do so.
func (i *incarnation) fail() bool {
	if i.fatal.Swap(true) {
		return false
	}
	close(i.failed)
	return true
}

// flush waits for records under way until they are done, limit is over, or the
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

const flushStep = 100 * time.Millisecond

// close takes no more records and waits for those under way for at most limit;
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
		_ = i.kp.Purge(kafka.PurgeInFlight | kafka.PurgeQueue)
		i.kp.Flush(1000) // collects the purged records' reports
	}
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

func pumpLogs(logger *slog.Logger, logs <-chan kafka.LogEvent, stop <-chan struct{}) {
	for {
		select {
		case l := <-logs:
			level := slog.LevelDebug
			if l.Level <= 4 { // syslog: warning and worse
				level = slog.LevelWarn
			}
			logger.Log(context.Background(), level, "librdkafka", "client", l.Name, "tag", l.Tag, "text", l.Message)
		case <-stop:
			return
		}
	}
}

func errorCode(err error) (kafka.ErrorCode, bool) {
	var e kafka.Error
	if errors.As(err, &e) {
		return e.Code(), true
	}
	return 0, false
}

func partitionLabel(topic string, partition int32) string {
	return topic + "[" + strconv.Itoa(int(partition)) + "]"
}
