package preflight

import (
	"strconv"
	"time"
)

// KafkaFacts is what Kafka reported about itself. What it did not report is nil or
// comes with the reason: "not known" is never the same as "does not exist".
type KafkaFacts struct {
	// Unreachable says why no broker answers; nothing else is known then.
	Unreachable *Unreachable
	ClusterID   string
	Brokers     []BrokerFacts
	Client      *ClientFacts // of the client that writes; nil: not looked at
	// ProducerRefused is why Kafka refuses this user an idempotent producer; empty if it
	// does not refuse, or did not answer.
	ProducerRefused string
	Topics          []TopicFacts
	Own             []OwnTopic
	Groups          []GroupFacts // of subscriptions
	// Transactions is the result of initialising a transactional producer; nil with the
	// idempotent guarantee.
	Transactions *TransactionFacts
}

// OwnTopic is a topic that the gateway keeps for itself: compacted, with one partition.
type OwnTopic struct {
	TopicFacts
	Duty Duty
}

// Duty is what one of the gateway's own topics is for.
type Duty int

// The duties.
const (
	ListsProducers Duty = iota // transactional ids
	ListsGateways              // gateways, and generations of claims
	NotesTopics                // where events were written
)

// Unreachable is why the gateway cannot reach Kafka.
type Unreachable struct {
	Obstacle Obstacle
	What     string // librdkafka's own words
}

// Obstacle is where a connection fails.
type Obstacle string

// Obstacles, from the first that a connection meets to the last.
const (
	BadSettings  Obstacle = "settings"   // librdkafka refuses kafka.properties
	NoSuchHost   Obstacle = "host"       // a name cannot be resolved
	NoConnection Obstacle = "connection" // refused, cut, or the wrong protocol
	NoTLS        Obstacle = "tls"        // no handshake, or a certificate that is not trusted
	NoLogin      Obstacle = "login"      // SASL refuses user, password or mechanism
	NoAnswer     Obstacle = "answer"     // there was no answer at all
)

// BrokerFacts is one broker as the cluster lists it.
type BrokerFacts struct {
	ID      int
	Address string // as it advertises itself
	// Unreachable is why this broker does not answer at that address; empty if it does.
	Unreachable string
	// Settings is nil if the broker does not tell them.
	Settings Settings
}

// Presence says whether a topic exists.
type Presence int

// What Kafka can answer about a topic.
const (
	Unclear Presence = iota // Kafka answered with an error
	Present
	Missing
	Hidden // this user may not know
)

// TopicFacts is what Kafka reported about one topic.
type TopicFacts struct {
	Name       string
	Presence   Presence
	Problem    string // why the presence is unclear, or why it is not known whether the topic would be created
	Partitions []PartitionFacts
	// Settings is nil if Kafka does not tell them; SettingsProblem says why.
	Settings        Settings
	SettingsProblem string
	Allowed         Operations
	// Creation is Kafka's answer to a request to create the topic that only validates;
	// nil if there was no request or no answer.
	Creation *CreationFacts
}

// CreationFacts is whether Kafka would create a topic.
type CreationFacts struct {
	NotAllowed bool
	Refused    string // Kafka's words; empty if it would create the topic
}

// PartitionFacts is the state of one partition.
type PartitionFacts struct {
	ID       int
	Led      bool // there is a leader
	Leader   int  // the broker that leads it, if there is one
	Replicas int
	InSync   int
}

// TransactionFacts is the result of initialising a transactional producer.
type TransactionFacts struct {
	ID      string // the transactional id that was tried
	Problem TransactionProblem
	What    string // Kafka's words
}

// TransactionProblem is why a transactional producer cannot be initialised.
type TransactionProblem string

// What can be wrong with transactions.
const (
	TransactionsWork       TransactionProblem = ""
	TransactionsNotAllowed TransactionProblem = "not allowed"
	TransactionsTooLong    TransactionProblem = "timeout too long" // beyond the brokers' transaction.max.timeout.ms
	TransactionsFail       TransactionProblem = "fail"
)

// Operation is something that a user may do with a topic, in the words of kafka-acls.
type Operation string

// The operations that a gateway needs.
const (
	Describe        Operation = "Describe"
	DescribeConfigs Operation = "DescribeConfigs"
	Read            Operation = "Read"
	Write           Operation = "Write"
)

// Operations are the operations that a user is allowed; nil if they are not known.
type Operations map[Operation]bool

// Settings are the settings in force for a topic or broker, defaults included.
type Settings map[string]string

// Number is a setting's value, and whether it is known.
func (s Settings) Number(name string) (n int64, known bool) {
	n, err := strconv.ParseInt(s[name], 10, 64)
	return n, err == nil
}

// Duration is the value of a setting that counts units, and whether it is known.
// Kafka's -1, for no limit, is Forever.
func (s Settings) Duration(name string, unit time.Duration) (d time.Duration, known bool) {
	n, ok := s.Number(name)
	switch {
	case !ok:
		return 0, false
	case n < 0 || n > int64(Forever/unit):
		return Forever, true
	}
	return time.Duration(n) * unit, true
}

// Forever is longer than any window.
const Forever = time.Duration(1<<63 - 1)

// FewestReplicas is the least number of replicas of any partition.
func (t TopicFacts) FewestReplicas() int {
	if len(t.Partitions) == 0 {
		return 0
	}
	fewest := t.Partitions[0].Replicas
	for _, p := range t.Partitions {
		fewest = min(fewest, p.Replicas)
	}
	return fewest
}

// numbers lists the partitions for which is returns true.
func (t TopicFacts) numbers(is func(PartitionFacts) bool) []int {
	var ids []int
	for _, p := range t.Partitions {
		if is(p) {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// KafkaNeeds is what the configuration and the event types need of Kafka.
type KafkaNeeds struct {
	Bootstrap string // kafka.brokers, for command lines: host:port,host:port
	// Compression is the codec of the records: none, gzip, snappy, lz4 or zstd.
	Compression string
	Topics      []TopicNeeds
	// Subscriptions are those of the configuration.
	Subscriptions []SubscriptionNeeds
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

// TopicNeeds is what event types need of their topic.
type TopicNeeds struct {
	Name  string
	Types []string // that are published to it
	// Largest is the event type with the largest data, MaxData how large that may be, in bytes.
	Largest string
	MaxData int
	Keyless []string // event types without an entity: their records have no key
	// Tombstones are event types that may be deleted by key: records without a value.
	Tombstones []string
	// DeadLetters says that the topic keeps what people have to see to.
	DeadLetters bool
}

const (
	// LogMargin is how much longer records must be kept than keys, because clocks differ
	// and a rebuild takes time.
	LogMargin = time.Hour
	// HeaderRoom is how many bytes the key and headers of most records take. CloudEvents
	// with long attributes take more.
	HeaderRoom = 4 << 10
)

// DeadLetterRetention is how long new dead-letter topics keep records: nobody may look for a
// long weekend, or a holiday. leastDeadLetterRetention is below what is warned of.
const (
	DeadLetterRetention      = 14 * 24 * time.Hour
	leastDeadLetterRetention = 7 * 24 * time.Hour
)

// RetentionOf is how long a new topic is to keep records.
func (n KafkaNeeds) RetentionOf(t TopicNeeds) time.Duration {
	if t.DeadLetters {
		return max(n.Retention(), DeadLetterRetention)
	}
	return n.Retention()
}

// Retention is how long topics must keep records.
func (n KafkaNeeds) Retention() time.Duration { return n.KeyWindow + LogMargin }
