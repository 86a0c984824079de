package publish

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"eventgateway/internal/kafka"
)

// Config sets up a Log.
type Config struct {
	Brokers         []string
	Properties      map[string]string // librdkafka properties, checked by internal/config
	Client          kafka.ClientName  // that writes; "" is auto
	DeliveryTimeout time.Duration     // until a record's outcome is known or called unknown
	InFlightLimit   int64             // bytes of event data that may be in flight
	MaxEventBytes   int               // the largest event data
	CreateTopics    TopicCreation
	// Lease is how long a claim is held: what was claimed under it is appended
	// before it ends, or never.
	Lease time.Duration
	// Transactional publishes in Kafka transactions, whose producers have ids
	// that begin with TransactionalIDPrefix. Kafka itself aborts one that is open
	// for longer than TransactionTimeout.
	Transactional         bool
	TransactionalIDPrefix string
	TransactionTimeout    time.Duration
	// Registered keeps this process registered in Kafka, in the topic
	// TransactionalIDPrefix-gateways; Window is how long claims are remembered.
	Registered bool
	Window     time.Duration
	// RememberTopics keeps a note in Kafka, in the topic TransactionalIDPrefix-topics, of
	// which topics the event types had.
	RememberTopics bool
}

// TopicCreation says whether and how missing topics are created.
type TopicCreation struct {
	Enabled     bool
	Partitions  int
	Replication int
	// Retention is how long records must be kept at least, MaxRecord the largest of any
	// topic in bytes.
	Retention time.Duration
	MaxRecord int
}

func (c Config) connection() kafka.Connection {
	return kafka.Connection{Brokers: c.Brokers, Properties: c.Properties}
}

// Log is Kafka as the gateway uses it: a producer of records and a reader of what
// was written. It is safe for concurrent use.
type Log struct {
	*Producer
	*Reader
	membership *Membership // nil unless Config.Registered
}

// Membership is this process among the registered ones; nil unless Config.Registered.
func (l *Log) Membership() *Membership { return l.membership }

func chooseClient(cfg Config) (kafka.ClientChoice, error) {
	return kafka.ChooseClient(cmp.Or(cfg.Client, kafka.ClientAuto), cfg.connection())
}

// New returns a Log that connects in the background. Errors are those of the
// configuration, for example a property that the client does not know.
func New(cfg Config, logger *slog.Logger, metrics *Metrics) (*Log, error) {
	choice, err := chooseClient(cfg)
	if err != nil {
		return nil, err
	}
	p := &Producer{cfg: cfg, metrics: metrics, logger: logger, stuck: stuckAfter}
	p.topics = newTopics(p.admin, p.learn, cfg.CreateTopics, logger)
	p.monitor = &monitor{topics: p.topics, quarantine: newQuarantine(logger, metrics), logger: logger, metrics: metrics}
	if err := p.connect(); err != nil {
		return nil, err
	}
	plain, err := newIdempotent(cfg, choice.Client == kafka.ClientFranz, p.monitor, logger, metrics)
	if err != nil {
		p.asking.Load().Close()
		return nil, err
	}
	logger.Info("kafka client that writes", "client", choice.Client, "reason", choice.Reason)
	scan := newScanner(cfg, p.admin, logger)
	var notes *registry
	if cfg.RememberTopics {
		notes = newTopicNotes(cfg, plain, scan, logger)
	}
	r := newReader(scan, p.topics, newTopicMemory(notes, logger), cfg.Lease, logger, metrics)
	var members *Membership
	if cfg.Registered {
		members = newMembership(cfg, uuid.NewString(), plain, scan, logger)
	}
	p.backend = plain
	if cfg.Transactional {
		pool := newTxPool(cfg, plain, scan, members, p.monitor, logger, metrics)
		p.backend, r.fencer = pool, pool.fencer
	}
	metrics.watch(p)
	return &Log{Producer: p, Reader: r, membership: members}, nil
}

// Run keeps what is known of Kafka fresh, and replaces failed producers, until ctx ends.
func (l *Log) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { l.remembered.run(ctx) })
	if l.membership != nil {
		running.Go(func() { l.membership.Run(ctx) })
	}
	l.Producer.Run(ctx)
	running.Wait()
}

// Close waits, at most until ctx ends, for records in flight, and closes. What
// is left then has an unknown outcome. It may be called twice.
func (l *Log) Close(ctx context.Context) {
	l.stopSearches()
	l.close(ctx)
	l.awaitSearches()
	l.scan.end()
}
