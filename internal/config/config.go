package config

import (
	"log/slog"
	"time"
)

// Config is the whole configuration. docs/configuration.md describes each key.
type Config struct {
	HTTP          HTTP           `yaml:"http"`
	Admin         Admin          `yaml:"admin"`
	Auth          Auth           `yaml:"auth"`
	Kafka         Kafka          `yaml:"kafka"`
	Redis         Redis          `yaml:"redis"`
	Schemas       Schemas        `yaml:"schemas"`
	Idempotency   Idempotency    `yaml:"idempotency"`
	Webhooks      []Webhook      `yaml:"webhooks"`
	Outbox        []Outbox       `yaml:"outbox"`
	Subscriptions []Subscription `yaml:"subscriptions"`
	Lag           Lag            `yaml:"lag"`
	Log           Log            `yaml:"log"`
	Memory        Memory         `yaml:"memory"`

	// SoleWriter says that no other gateway has ever written to this Kafka, so a
	// start does not wait for another gateway's records. It is not in the file: only
	// `gateway dev`, which starts its own Kafka, can know.
	SoleWriter bool

	// File is the path of the file, "" without one.
	File string

	// origins says where the value of each path that was set came from. It holds no
	// values, because %+v prints unexported fields without calling their methods.
	origins map[string]origin
}

// Defaults returns the configuration before any source is read. It is not valid yet:
// Auth has no default.
func Defaults() *Config {
	return &Config{
		HTTP: HTTP{
			Listen:         "0.0.0.0:8080",
			BodyLimit:      900 * KiB, // below the 1 MB that brokers take by default, with room for headers
			TokenLimit:     500_000,
			InFlightLimit:  256 * MiB,
			ReadTimeout:    10 * time.Second,
			IdleTimeout:    2 * time.Minute,
			MaxConnections: 10_000, // no limit per address: behind a proxy all come from one
			TLS:            HTTPTLS{ClientNames: []string{CertificateDNS}},
			Rates:          HTTPRates{Strangers: Rate{500, time.Second}, Webhooks: Rate{2000, time.Second}},
			CORS:           HTTPCORS{Origins: []string{}, Headers: []string{}}, TrustedProxies: []string{}, Hosts: []string{},
		},
		Admin: Admin{Listen: "127.0.0.1:9090", Hosts: []string{}},
		Kafka: Kafka{
			Brokers:               []string{"127.0.0.1:9092"},
			Client:                KafkaClientAuto,
			Guarantee:             GuaranteeIdempotent,
			TransactionalIDPrefix: "gateway",
			TransactionTimeout:    20 * time.Second,
			DeliveryTimeout:       20 * time.Second, // a broker that dies keeps its leaderships for KRaft's session of 9 s, and more until a new leader is known
			CreateTopics:          CreateTopics{Partitions: 12, Replication: 3},
			Properties:            Properties{},
		},
		Redis:   Redis{Addresses: []string{"127.0.0.1:6379"}},
		Schemas: Schemas{Dir: "schemas", Watch: true},
		Idempotency: Idempotency{
			TTL:            24 * time.Hour,
			Lease:          30 * time.Second,
			OnStoreFailure: StoreFailureReject,
			OnStoreLoss:    StoreFailureReject,
		},
		Lag:     Lag{Include: []string{".*"}, Exclude: []string{}, Interval: 5 * time.Second, MaxSeries: 10_000},
		Log:     Log{Format: LogJSON, Level: LogInfo},
		origins: map[string]origin{},
	}
}

// HTTP is the public listener.
type HTTP struct {
	Listen        string        `yaml:"listen"`          // host:port; port 0 picks a free one
	PublicURL     string        `yaml:"public_url"`      // absolute, without a final slash; "" if unknown
	BodyLimit     Size          `yaml:"body_limit"`      // of one request
	TokenLimit    int           `yaml:"token_limit"`     // of one event's data: names, values, brackets
	InFlightLimit Size          `yaml:"in_flight_limit"` // what all requests may hold together
	ReadTimeout   time.Duration `yaml:"read_timeout"`    // for a whole request to arrive
	IdleTimeout   time.Duration `yaml:"idle_timeout"`    // between two requests of a connection

	MaxConnections           int `yaml:"max_connections"`             // open at once; 0: no limit
	MaxConnectionsPerAddress int `yaml:"max_connections_per_address"` // of them of one IPv4 address or IPv6 /64; 0: no limit

	TLS   HTTPTLS   `yaml:"tls"`
	Rates HTTPRates `yaml:"rates"`
	CORS  HTTPCORS  `yaml:"cors"`
	// TrustedProxies are ranges of addresses whose X-Forwarded-… headers are trusted.
	TrustedProxies []string `yaml:"trusted_proxies"`
	// Hosts are names by which callers reach the gateway, besides that of PublicURL. They
	// are compared where Auth is none.
	Hosts []string `yaml:"hosts"`
}

// HTTPRates limit the calls of each address, in each gateway. Zero: no limit.
type HTTPRates struct {
	Strangers Rate `yaml:"strangers"` // calls without valid credentials
	Webhooks  Rate `yaml:"webhooks"`
}

// HTTPTLS encrypts the public listener. All files are PEM, and are read again when
// they change.
type HTTPTLS struct {
	Cert     string `yaml:"cert"`      // with Key, or plain HTTP
	Key      string `yaml:"key"`       // file of the certificate's key
	ClientCA string `yaml:"client_ca"` // authorities for client certificates; "": clients are not asked for one
	// ClientNames are the kinds of names in a client's certificate that may name it.
	ClientNames []string `yaml:"client_names"`
}

// The kinds of subject alternative names (RFC 5280 §4.2.1.6).
const (
	CertificateDNS   = "dns"
	CertificateURI   = "uri"
	CertificateEmail = "email"
)

// Enabled reports whether the listener is encrypted.
func (t HTTPTLS) Enabled() bool { return t.Cert != "" }

// Admin is the second listener: health and metrics, not for the public.
type Admin struct {
	Listen string   `yaml:"listen"` // host:port; port 0 picks a free one
	Hosts  []string `yaml:"hosts"`  // names by which it is reached, besides addresses and names of this machine
}

// Auth says who may call. It has no default: somebody must write down that the gateway
// is open.
type Auth struct {
	// None (auth: none) lets everybody publish; the client is "anonymous".
	None    bool
	Clients []AuthClient `yaml:"clients"`
	JWT     AuthJWTs     `yaml:"jwt"`
}

// Kafka is the log that events are written to.
type Kafka struct {
	Brokers               []string      `yaml:"brokers"` // host:port each
	Client                KafkaClient   `yaml:"client"`
	Guarantee             Guarantee     `yaml:"guarantee"`
	TransactionalIDPrefix string        `yaml:"transactional_id_prefix"`
	TransactionTimeout    time.Duration `yaml:"transaction_timeout"` // whole milliseconds are used
	DeliveryTimeout       time.Duration `yaml:"delivery_timeout"`    // whole milliseconds are used
	CreateTopics          CreateTopics  `yaml:"create_topics"`
	Properties            Properties    `yaml:"properties"`
}

// KafkaClient names the library that writes records. Everything else that asks Kafka
// uses librdkafka.
type KafkaClient string

// The clients. Auto is franz-go where the other settings can be expressed in it.
const (
	KafkaClientAuto       KafkaClient = "auto"
	KafkaClientFranz      KafkaClient = "franz"
	KafkaClientLibrdkafka KafkaClient = "librdkafka"
)

// Guarantee names the mechanism behind "exactly once".
type Guarantee string

// The guarantees; docs/guarantees.md explains each.
const (
	GuaranteeIdempotent    Guarantee = "idempotent"
	GuaranteeTransactional Guarantee = "transactional"
)

// CreateTopics says whether missing topics are created, and how.
type CreateTopics struct {
	Enabled     bool `yaml:"enabled"`
	Partitions  int  `yaml:"partitions"`
	Replication int  `yaml:"replication"`
}

// Redis remembers idempotency keys. Several addresses without a master are a
// Redis Cluster, as is one with Cluster; with a master, the addresses are those of the
// sentinels.
type Redis struct {
	Addresses []string `yaml:"addresses"` // host:port each; from URLs, after validation
	Cluster   bool     `yaml:"cluster"`
	Master    string   `yaml:"master"`
	Username  string   `yaml:"username"`
	Password  Secret   `yaml:"password"`
	TLS       RedisTLS `yaml:"tls"`
}

// RedisTLS encrypts the connections to Redis. All files are PEM.
type RedisTLS struct {
	Enabled    bool   `yaml:"enabled"`
	CA         string `yaml:"ca"`          // "" is the system's roots
	Cert       string `yaml:"cert"`        // client certificate, with Key or not at all
	Key        string `yaml:"key"`         // file of the client certificate's key
	ServerName string `yaml:"server_name"` // "" is the host of the address
}

// Schemas is the folder of event types.
type Schemas struct {
	Dir   string `yaml:"dir"`
	Watch bool   `yaml:"watch"`
}

// Idempotency is how long a key is remembered and held.
type Idempotency struct {
	TTL            time.Duration      `yaml:"ttl"`
	Lease          time.Duration      `yaml:"lease"`
	OnStoreFailure StoreFailurePolicy `yaml:"on_store_failure"`
	OnStoreLoss    StoreFailurePolicy `yaml:"on_store_loss"`
	Installation   string             `yaml:"installation"` // "" is the id of the Kafka cluster
}

// StoreFailurePolicy says what happens to a keyed event while Redis is down, or while
// keys that Redis may have lost are rebuilt from Kafka.
type StoreFailurePolicy string

// Reject answers 503; publish writes without deduplication and says so.
const (
	StoreFailureReject  StoreFailurePolicy = "reject"
	StoreFailurePublish StoreFailurePolicy = "publish"
)

// Memory is what the process may use.
type Memory struct {
	Limit Size `yaml:"limit"` // 0: what the other settings need; never more than the container's limit
}

// Log is the gateway's own log.
type Log struct {
	Format LogFormat `yaml:"format"`
	Level  LogLevel  `yaml:"level"`
}

// LogFormat is the form of a log line.
type LogFormat string

// The log formats.
const (
	LogJSON LogFormat = "json"
	LogText LogFormat = "text"
)

// LogLevel is the least severe level that is logged.
type LogLevel string

// The log levels.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// Slog returns slog's level; an invalid one counts as info.
func (l LogLevel) Slog() slog.Level {
	switch l {
	case LogDebug:
		return slog.LevelDebug
	case LogWarn:
		return slog.LevelWarn
	case LogError:
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}
