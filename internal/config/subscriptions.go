package config

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Subscription pushes events to one HTTP endpoint. This package checks only part of it:
// internal/delivery/endpoint checks the URL, the secrets and the files.
type Subscription struct {
	Name            string              `yaml:"name"`
	Types           []string            `yaml:"types"`  // event types; or
	Topics          []string            `yaml:"topics"` // Kafka topics
	URL             string              `yaml:"url"`
	Secrets         []Secret            `yaml:"secrets"`
	Mode            SubscriptionMode    `yaml:"mode"`
	Filter          SubscriptionFilter  `yaml:"filter"`
	Ordering        Ordering            `yaml:"ordering"`
	Concurrency     int                 `yaml:"concurrency"`
	Rate            Rate                `yaml:"rate"` // over all gateways; zero: no limit
	Timeout         time.Duration       `yaml:"timeout"`
	Start           SubscriptionStart   `yaml:"start"`
	OnDead          OnDead              `yaml:"on_dead"`
	WhenFull        WhenFull            `yaml:"when_full"`
	OnExpiring      OnExpiring          `yaml:"on_expiring"`
	OnLost          OnLost              `yaml:"on_lost"`
	DeadLetterTopic string              `yaml:"dead_letter_topic"` // "": <topic>.<name>.dlt
	Headers         SecretHeaders       `yaml:"headers"`
	OAuth2          *SubscriptionOAuth2 `yaml:"oauth2"`
	TLS             SubscriptionTLS     `yaml:"tls"`
	Retry           SubscriptionRetry   `yaml:"retry"`
	AllowCIDRs      []string            `yaml:"allow_cidrs"`
	GroupProtocol   GroupProtocol       `yaml:"group_protocol"`
	SessionTimeout  time.Duration       `yaml:"session_timeout"`
}

// SubscriptionFilter says which events are wanted; all that is given must hold.
type SubscriptionFilter struct {
	Types []string     `yaml:"types"` // patterns; * stands for any text
	Keys  []string     `yaml:"keys"`
	Data  FilterValues `yaml:"data"`
}

// FilterValues are values by JSON Pointer.
type FilterValues map[string]string

// SubscriptionRetry bounds the attempts for an event.
type SubscriptionRetry struct {
	Attempts int           `yaml:"attempts"`
	Initial  time.Duration `yaml:"initial"`
	Max      time.Duration `yaml:"max"`
	Total    time.Duration `yaml:"total"`
}

// SubscriptionOAuth2 is the client credentials grant.
type SubscriptionOAuth2 struct {
	TokenURL     string   `yaml:"token_url"`
	ClientID     string   `yaml:"client_id"`
	ClientSecret Secret   `yaml:"client_secret"`
	Scopes       []string `yaml:"scopes"`
}

// SubscriptionTLS says how the endpoint and the gateway prove who they are. Files are PEM.
type SubscriptionTLS struct {
	CA         string `yaml:"ca"`
	Cert       string `yaml:"cert"`
	Key        string `yaml:"key"`
	ServerName string `yaml:"server_name"`
}

// SecretHeaders are headers whose values are not shown.
type SecretHeaders map[string]Secret

// The values of the keys that are words.
type (
	// SubscriptionMode is the CloudEvents mode of requests.
	SubscriptionMode string
	// Ordering says which events wait for each other.
	Ordering string
	// OnDead says what happens to the events of an entity behind one that is given up, in an
	// outbox or a subscription.
	OnDead string
	// WhenFull says what a full window does.
	WhenFull string
	// OnExpiring says what happens when Kafka is about to delete events that wait.
	OnExpiring string
	// OnLost says what happens when Kafka has deleted events that wait.
	OnLost string
	// GroupProtocol is Kafka's group.protocol.
	GroupProtocol string
)

// Their values.
const (
	ModeStructured SubscriptionMode = "structured"
	ModeBinary     SubscriptionMode = "binary"

	OrderingKey  Ordering = "key"
	OrderingNone Ordering = "none"

	OnDeadContinue   OnDead = "continue"
	OnDeadHoldEntity OnDead = "hold-entity"

	WhenFullWait       WhenFull = "wait"
	WhenFullDeadLetter WhenFull = "dead-letter"

	OnExpiringWait       OnExpiring = "wait"
	OnExpiringDeadLetter OnExpiring = "dead-letter"

	OnLostStop     OnLost = "stop"
	OnLostEarliest OnLost = "earliest"

	GroupClassic  GroupProtocol = "classic"
	GroupConsumer GroupProtocol = "consumer"
)

// SubscriptionStart is where a new subscription begins: earliest, latest or a time.
type SubscriptionStart struct {
	Given, Earliest bool
	Time            time.Time // zero, and not Earliest: latest
}

// UnmarshalText reads it.
func (s *SubscriptionStart) UnmarshalText(text []byte) error {
	*s = SubscriptionStart{Given: true}
	switch string(text) {
	case "earliest":
		s.Earliest = true
	case "latest":
	default:
		at, err := time.Parse(time.RFC3339, string(text))
		if err != nil {
			return &fault{"is neither earliest, latest nor a time", "write for example latest, or 2026-01-31T12:00:00Z"}
		}
		s.Time = at
	}
	return nil
}

func (s *Subscription) setDefaults() { *s = newSubscription() }

func newSubscription() Subscription {
	return Subscription{
		Mode: ModeStructured, Ordering: OrderingKey, Concurrency: 16, Timeout: 10 * time.Second,
		OnDead: OnDeadContinue, WhenFull: WhenFullWait, OnExpiring: OnExpiringWait, OnLost: OnLostStop,
		Retry:         SubscriptionRetry{Attempts: 8, Initial: 500 * time.Millisecond, Max: 30 * time.Second, Total: 2 * time.Minute},
		GroupProtocol: GroupClassic, SessionTimeout: 10 * time.Second,
	}
}

// DeadLetters is the topic for the dead letters of a topic.
func (s Subscription) DeadLetters(topic string) string {
	if s.DeadLetterTopic != "" {
		return s.DeadLetterTopic
	}
	return topic + "." + s.Name + ".dlt"
}

// decodeNode reads a mapping of headers.
func (h *SecretHeaders) decodeNode(d *decoder, path string, n *yaml.Node) {
	*h = SecretHeaders{}
	d.pairs(path, n, func(name string, _, node *yaml.Node) {
		at := join(path, shownKey(name))
		var value Secret
		d.scalar(at, node, reflect.ValueOf(&value).Elem())
		(*h)[name] = value
	})
}

// decodeNode reads a mapping of JSON Pointers to values.
func (f *FilterValues) decodeNode(d *decoder, path string, n *yaml.Node) {
	*f = FilterValues{}
	d.pairs(path, n, func(name string, key, node *yaml.Node) {
		at := join(path, shownKey(name))
		if !strings.HasPrefix(name, "/") {
			d.errs.add(at, d.at(key), "is not a JSON Pointer", "write for example /customer/country")
			return
		}
		if text, o, ok := d.text(at, node, false); ok {
			(*f)[name] = text
			d.cfg.origins[at] = o
		}
	})
}

const (
	maxConcurrency = 256 // events of a partition that may fail at once (internal/delivery)
	maxRetries     = 100
)

var subscriptionName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,60}$`) // part of a topic's name

func (v validator) subscriptions() {
	first := map[string]int{}
	for i, s := range v.c.Subscriptions {
		at := fmt.Sprintf("subscriptions[%d]", i)
		shown := v.show(at+".name", s.Name)
		v.check(subscriptionName.MatchString(s.Name), at+".name", shown+" cannot be part of a topic's name",
			"write 1 to 60 letters, digits, underscores and hyphens, for example fulfilment")
		other, taken := first[s.Name]
		v.check(!taken, at+".name", shown+" is the name of another subscription", fmt.Sprintf("give each its own; subscriptions[%d] has it too", other))
		if !taken {
			first[s.Name] = i
		}
		v.subscription(at, s)
		v.subscriptionEndpoint(at, s)
	}
}

func (v validator) subscription(at string, s Subscription) {
	v.check((len(s.Types) > 0) != (len(s.Topics) > 0), at+".types", "must be given, or topics, and not both",
		"write types: [orders.placed], or topics: [orders] for what others write to Kafka")
	v.check(len(s.Types) == 0 || unique(s.Types), at+".types", "names an event type twice, or none", "name each once")
	for i, topic := range s.Topics {
		v.check(topicName.MatchString(topic), fmt.Sprintf("%s.topics[%d]", at, i), v.show(fmt.Sprintf("%s.topics[%d]", at, i), topic)+" is not a Kafka topic name",
			"write 1 to 249 letters, digits, dots, underscores and hyphens")
	}
	v.check(len(s.Topics) == 0 || unique(s.Topics), at+".topics", "names a topic twice", "name each once")
	v.check(s.Start.Given, at+".start", "is missing: a new subscription must say where it begins",
		"write latest for events from now on, earliest for all that Kafka has, or a time such as 2026-01-31T12:00:00Z")
	oneOf(v, at+".mode", s.Mode, ModeStructured, ModeBinary)
	oneOf(v, at+".ordering", s.Ordering, OrderingKey, OrderingNone)
	oneOf(v, at+".on_dead", s.OnDead, OnDeadContinue, OnDeadHoldEntity)
	v.check(s.OnDead != OnDeadHoldEntity || s.Ordering == OrderingKey, at+".on_dead", "is hold-entity, but ordering is not key", "write ordering: key, or on_dead: continue")
	oneOf(v, at+".when_full", s.WhenFull, WhenFullWait, WhenFullDeadLetter)
	oneOf(v, at+".on_expiring", s.OnExpiring, OnExpiringWait, OnExpiringDeadLetter)
	oneOf(v, at+".on_lost", s.OnLost, OnLostStop, OnLostEarliest)
	oneOf(v, at+".group_protocol", s.GroupProtocol, GroupClassic, GroupConsumer)
	v.check(s.SessionTimeout >= 6*time.Second && s.SessionTimeout <= 5*time.Minute, at+".session_timeout", "must be at least 6s, the least that brokers allow by default, and at most 5m", "write for example 10s")
	v.check(s.DeadLetterTopic == "" || topicName.MatchString(s.DeadLetterTopic), at+".dead_letter_topic",
		v.show(at+".dead_letter_topic", s.DeadLetterTopic)+" is not a Kafka topic name", "write 1 to 249 letters, digits, dots, underscores and hyphens")
	v.check(s.DeadLetterTopic == "" || !slices.Contains(s.Topics, s.DeadLetterTopic), at+".dead_letter_topic", "is a topic that the subscription reads", "name another, or leave it out")
	v.check(s.Concurrency >= 1 && s.Concurrency <= maxConcurrency, at+".concurrency", fmt.Sprintf("must be at least 1 and at most %d", maxConcurrency), "write for example 16")
	v.check(s.Timeout >= 100*time.Millisecond && s.Timeout <= 5*time.Minute, at+".timeout", "must be at least 100ms and at most 5m", "write for example 10s")
	r := s.Retry
	v.check(r.Attempts >= 1 && r.Attempts <= maxRetries, at+".retry.attempts", fmt.Sprintf("must be at least 1 and at most %d", maxRetries), "write for example 8")
	v.check(r.Initial >= 10*time.Millisecond && r.Initial <= r.Max || v.known.has(at+".retry.max"), at+".retry.initial", "must be at least 10ms and at most retry.max", "write for example 500ms")
	v.check(r.Max <= time.Hour, at+".retry.max", "must be at most 1h", "write for example 30s")
	v.check(r.Total >= 0 && r.Total <= 24*time.Hour, at+".retry.total", "must be at most 24h, or 0 for no limit", "write for example 2m")
}

func (v validator) subscriptionEndpoint(at string, s Subscription) {
	v.check(s.URL != "", at+".url", "is missing", "write for example https://fulfilment.example.com/events")
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		path := join(at+".headers", shownKey(name))
		v.check(headerName.MatchString(name), path, "is not the name of a header", "write letters, digits and hyphens")
		v.check(!gatewayHeader(name), path, "is a header that the gateway sets", "remove it")
		v.check(!strings.ContainsAny(s.Headers[name].Reveal(), "\r\n"), path, "has a line break", "remove it")
	}
	for i, text := range s.AllowCIDRs {
		path := fmt.Sprintf("%s.allow_cidrs[%d]", at, i)
		p, err := netip.ParsePrefix(text)
		v.check(err == nil && p == p.Masked(), path, v.show(path, text)+" is not a range of addresses", "write for example 10.1.0.0/16, or 10.1.2.3/32 for one address")
	}
	if o := s.OAuth2; o != nil {
		v.check(o.TokenURL != "", at+".oauth2.token_url", "is missing", "write the URL of the token endpoint")
		v.check(o.ClientID != "", at+".oauth2.client_id", "is missing", "write the client's id at the token endpoint")
		v.check(o.ClientSecret != "", at+".oauth2.client_secret", "is missing", "write for example ${CLIENT_SECRET}")
		for name := range s.Headers {
			v.check(!strings.EqualFold(name, "Authorization"), join(at+".headers", name), "is given with oauth2, which sets it", "remove one of them")
		}
	}
}

// gatewayHeader reports whether requests have the header already.
func gatewayHeader(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "ce-") || strings.HasPrefix(name, "webhook-") || slices.Contains([]string{
		"content-type", "content-length", "transfer-encoding", "connection", "gateway-attempt", "traceparent", "tracestate", "user-agent", "idempotency-key",
	}, name)
}

func unique(list []string) bool {
	return len(slices.Compact(slices.Sorted(slices.Values(list)))) == len(list) && !slices.Contains(list, "")
}
