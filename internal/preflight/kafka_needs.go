package preflight

import "time"

// KafkaNeeds is what the configuration and the event types ask of Kafka.
type KafkaNeeds struct {
	Bootstrap string // kafka.brokers, for command lines: host:port,host:port
	Topics    []TopicNeeds
	// KeyWindow is idempotency.ttl: how far back recovery reads and rebuilds look.
	KeyWindow time.Duration
	// CreateTopics says that the gateway creates missing topics by itself.
	CreateTopics            bool
	Partitions, Replication int
	// TransactionTimeout is kafka.transaction_timeout, TransactionalIDPrefix
	// kafka.transactional_id_prefix.
	TransactionTimeout    time.Duration
	TransactionalIDPrefix string
}

// TopicNeeds is what event types ask of their topic.
type TopicNeeds struct {
	Name  string
	Types []string // that are published to it
	// Largest is the event type with the largest data, MaxData how large that may be, in bytes.
	Largest string
	MaxData int
	Keyless []string // event types without an entity: their records have no key
}

const (
	// LogMargin is how much longer than a key records are to be kept: for clocks
	// that differ, and for the time that a rebuild takes.
	LogMargin = time.Hour
	// HeaderRoom is what key and headers of most records take, in bytes. CloudEvents
	// with long attributes take more.
	HeaderRoom = 4 << 10
)

// Retention is how long topics must keep records.
func (n KafkaNeeds) Retention() time.Duration { return n.KeyWindow + LogMargin }
