package publish

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/kafka"
)

const (
	// settingsInterval is how often topics are asked for their settings.
	settingsInterval = 5 * time.Minute
	// settingsRetry is how soon they are asked again after no answer, or because a
	// record was refused.
	settingsRetry = 10 * time.Second
	// settingsBatch is how many topics one request asks for. An answer has about 3 kB
	// for each.
	settingsBatch = 100
	// defaultTopicBytes is Kafka's default max.message.bytes.
	defaultTopicBytes = 1_048_588
)

// topicSettings are those of a topic's settings that decide whether a record is
// accepted.
type topicSettings struct {
	maxBytes   int  // max.message.bytes
	compacted  bool // cleanup.policy has compact: a record without a key is refused
	timestamps timestampBounds
	minInSync  int // min.insync.replicas; 0: not known
}

// timestampBounds is how far a record's timestamp may be off the broker's clock.
type timestampBounds struct {
	before, after bound
}

// bound is a limit; the zero value is none.
type bound struct {
	set  bool
	most time.Duration
}

// assumedSettings are Kafka's defaults, for topics whose settings are not shown.
// Broker versions differ in their bounds for timestamps.
var assumedSettings = topicSettings{maxBytes: defaultTopicBytes}

// settingsCache asks topics for their settings and keeps the newest answers. What is
// known stays when a question fails.
type settingsCache struct {
	admin  func() *kafka.Admin
	logger *slog.Logger

	mu    sync.Mutex
	known map[string]*knownSettings
}

type knownSettings struct {
	topicSettings
	asked, due time.Time
	hidden     bool // it was logged that Kafka does not show them
}

func newSettingsCache(admin func() *kafka.Admin, logger *slog.Logger) *settingsCache {
	return &settingsCache{admin: admin, logger: logger, known: map[string]*knownSettings{}}
}

// of returns a topic's settings, Kafka's defaults until they are known.
func (c *settingsCache) of(name string) topicSettings {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.known[name]; k != nil {
		return k.topicSettings
	}
	return assumedSettings
}

// forget makes a topic's settings unknown: it is gone, and the next topic of that name
// may have others.
func (c *settingsCache) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, name)
}

// expire makes a topic due to be asked, unless it was asked a moment ago. It reports
// whether it did.
func (c *settingsCache) expire(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.known[name]
	if k == nil || time.Since(k.asked) < settingsRetry {
		return false
	}
	k.due = time.Time{}
	return true
}

// learn asks those of the topics that are due.
func (c *settingsCache) learn(ctx context.Context, names []string) {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	for batch := range slices.Chunk(c.due(names), settingsBatch) {
		if err := c.ask(ctx, batch); err != nil {
			c.logger.Debug("asking topics for their settings failed", "error", err)
			return // the others stay due
		}
	}
}

func (c *settingsCache) due(names []string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var due []string
	now := time.Now()
	for _, name := range names {
		if k := c.known[name]; k == nil || now.After(k.due) {
			due = append(due, name)
		}
	}
	return due
}

func (c *settingsCache) ask(ctx context.Context, names []string) error {
	resources := make([]librdkafka.ConfigResource, len(names))
	for i, name := range names {
		resources[i] = librdkafka.ConfigResource{Type: librdkafka.ResourceTopic, Name: name}
	}
	var results []librdkafka.ConfigResourceResult
	err := c.admin().Use(func(admin *librdkafka.AdminClient) (err error) {
		results, err = admin.DescribeConfigs(ctx, resources, librdkafka.SetAdminRequestTimeout(kafka.TimeLeft(ctx, metadataTimeout)))
		return err
	})
	c.take(names, results)
	return err
}

// take keeps what was answered. Names without an answer are asked again soon.
func (c *settingsCache) take(names []string, results []librdkafka.ConfigResourceResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, name := range names {
		k := c.known[name]
		if k == nil {
			k = &knownSettings{topicSettings: assumedSettings}
			c.known[name] = k
		}
		k.asked, k.due = now, now.Add(settingsRetry)
	}
	var hidden []string
	for _, r := range results {
		k := c.known[r.Name]
		switch {
		case k == nil:
		case r.Error.Code() == librdkafka.ErrNoError:
			k.topicSettings = k.with(r.Config)
			k.due, k.hidden = now.Add(settingsInterval), false
		case NotAllowed(r.Error):
			k.due = now.Add(settingsInterval)
			if !k.hidden {
				k.hidden = true
				hidden = append(hidden, r.Name)
			}
		}
	}
	if len(hidden) > 0 {
		slices.Sort(hidden)
		c.logger.Info("kafka does not show the settings of topics: what was known stays, otherwise its defaults are assumed;"+
			" the permission DescribeConfigs lets the gateway refuse what a topic does not take", "topics", hidden)
	}
}

// with returns settings in which those that Kafka tells replace the former.
func (s topicSettings) with(told map[string]librdkafka.ConfigEntryResult) topicSettings {
	number := func(name string) (int64, bool) {
		n, err := strconv.ParseInt(told[name].Value, 10, 64)
		return n, err == nil
	}
	if n, ok := number("max.message.bytes"); ok {
		s.maxBytes = int(n)
	}
	if n, ok := number("min.insync.replicas"); ok {
		s.minInSync = int(n)
	}
	s.compacted = slices.ContainsFunc(strings.Split(told["cleanup.policy"].Value, ","), func(policy string) bool {
		return strings.TrimSpace(policy) == "compact"
	})
	s.timestamps = timestampBounds{}
	if told["message.timestamp.type"].Value == "LogAppendTime" {
		return s // brokers set their own
	}
	// Kafka 3.6 replaced one bound by two; until 4.0 the old one applies where a new one
	// is not set.
	limit := func(name string) bound {
		for _, name := range []string{name, "message.timestamp.difference.max.ms"} {
			if ms, ok := number(name); ok && ms >= 0 && ms <= math.MaxInt64/int64(time.Millisecond) {
				return bound{set: true, most: time.Duration(ms) * time.Millisecond}
			}
		}
		return bound{} // not told, or centuries
	}
	s.timestamps.before = limit("message.timestamp.before.max.ms")
	s.timestamps.after = limit("message.timestamp.after.max.ms")
	return s
}
