package publish

import (
	"context"
	"log/slog"
	"time"

	"eventgateway/internal/kafka"
)

// Config sets up a Log.
type Config struct {
	Brokers         []string
	Properties      map[string]string // librdkafka properties, checked by internal/config
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
}

// TopicCreation says whether and how missing topics are created.
type TopicCreation struct {
	Enabled     bool
	Partitions  int
	Replication int
}

func (c Config) connection() kafka.Connection {
	return kafka.Connection{Brokers: c.Brokers, Properties: c.Properties}
}

// Log is Kafka as the gateway uses it: a producer of records and a reader of what
// was written. It is safe for concurrent use.
type Log struct {
	*Producer
	*Reader
}

// New returns a Log that connects in the background. Errors are those of the
// configuration, for example a property that librdkafka does not know.
func New(cfg Config, logger *slog.Logger, metrics *Metrics) (*Log, error) {
	p := &Producer{cfg: cfg, metrics: metrics}
	p.topics = newTopics(p.admin, p.topicsChanged, cfg.CreateTopics, logger)
	p.monitor = &monitor{topics: p.topics, logger: logger, metrics: metrics}
	var err error
	if p.plain, err = newIdempotent(cfg, p.monitor, logger, metrics); err != nil {
		return nil, err
	}
	scan := scanner{connection: cfg.connection(), admin: p.admin}
	r := newReader(scan, p.topics, cfg.Lease, logger, metrics)
	p.backend = p.plain
	if cfg.Transactional {
		pool := newTxPool(cfg, p.plain, scan, p.monitor, logger, metrics)
		p.backend, r.fencer = pool, pool.fencer
	}
	metrics.watch(p)
	return &Log{Producer: p, Reader: r}, nil
}

// Close waits, at most until ctx ends, for records in flight, and closes. What
// is left then has an unknown outcome. It may be called twice.
func (l *Log) Close(ctx context.Context) {
	l.stopSearches()
	l.close(ctx)
	l.awaitSearches()
}
