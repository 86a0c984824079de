package publish

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/backoff"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/kafka"
)

const (
	refreshInterval = 30 * time.Second // partitions may be added at any time
	urgentInterval  = time.Second      // Kafka is away, or a topic is missing
	metadataTimeout = 5 * time.Second
	// refreshPause bounds how often refused requests, each of which asks for a
	// refresh, cause one.
	refreshPause = 100 * time.Millisecond
	// limitsInterval is how often topics are asked for their size limit.
	limitsInterval = 5 * time.Minute
	// defaultTopicBytes is Kafka's default max.message.bytes.
	defaultTopicBytes = 1_048_588
)

// topic is what the gateway needs to know of a topic.
type topic struct {
	partitions int32
	maxBytes   int // max.message.bytes
	// acked has, by partition, when the newest acknowledged record was sent:
	// nanoseconds since born, 0 for never.
	acked []*atomic.Int64
}

// topics caches the cluster's metadata for the topics of the event types.
type topics struct {
	admin  func() *kafka.Admin
	fit    func(smallest int) // called with the smallest max.message.bytes before lookups see the topics
	create TopicCreation
	logger *slog.Logger
	born   time.Time

	known   atomic.Pointer[map[string]topic] // nil: Kafka was never reached
	wake    chan struct{}
	reached atomic.Int64 // Unix nanoseconds of the last answer, 0 for never

	mu       sync.Mutex
	wanted   []string
	missing  []string // as last logged
	limits   map[string]int
	limitsAt time.Time
}

func newTopics(admin func() *kafka.Admin, fit func(smallest int), create TopicCreation, logger *slog.Logger) *topics {
	return &topics{admin: admin, fit: fit, create: create, logger: logger, born: failpoint.Now(), wake: make(chan struct{}, 1), limits: map[string]int{}}
}

func (t *topics) want(names []string) {
	t.mu.Lock()
	t.wanted = slices.Compact(slices.Sorted(slices.Values(names)))
	t.mu.Unlock()
	t.refreshSoon()
}

func (t *topics) refreshSoon() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *topics) lookup(name string) (topic, lookupResult) {
	known := t.known.Load()
	if known == nil {
		return topic{}, neverReached
	}
	found, ok := (*known)[name]
	if !ok {
		return topic{}, noSuchTopic
	}
	return found, topicFound
}

type lookupResult int

const (
	topicFound lookupResult = iota
	noSuchTopic
	neverReached
)

// run keeps the cache fresh until ctx ends. after is called after every try,
// with the time when the try began.
func (t *topics) run(ctx context.Context, after func(time.Time, error)) {
	for ctx.Err() == nil {
		begun := time.Now()
		err := t.refresh(ctx)
		after(begun, err)
		interval := refreshInterval
		if err != nil || t.anyMissing() {
			interval = urgentInterval
		}
		timer := time.NewTimer(interval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-t.wake:
			timer.Stop()
			backoff.Sleep(ctx, refreshPause)
		}
	}
}

func (t *topics) refresh(ctx context.Context) error {
	wanted := t.names()
	asking, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	states, err := t.admin().Describe(asking, wanted)
	if err != nil {
		return err
	}
	t.reached.Store(time.Now().UnixNano())

	present := make(map[string]topic, len(wanted))
	var missing []string
	for _, m := range states {
		name := m.Name
		if m.Err != nil || len(m.Partitions) == 0 {
			missing = append(missing, name)
			continue
		}
		before, _ := t.lookup(name)
		present[name] = topic{partitions: int32(len(m.Partitions)), acked: counters(before.acked, len(m.Partitions))} //nolint:gosec // partitions are few
	}
	t.learnLimits(ctx, present)
	for name, p := range present {
		p.maxBytes = t.limit(name)
		present[name] = p
	}
	t.fit(smallestOf(present))
	t.known.Store(&present)
	t.reportMissing(ctx, missing)
	return nil
}

// counters returns n counters, the first of which are the old ones.
func counters(old []*atomic.Int64, n int) []*atomic.Int64 {
	kept := slices.Clone(old[:min(n, len(old))])
	for len(kept) < n {
		kept = append(kept, new(atomic.Int64))
	}
	return kept
}

// ackedNow notes that a record sent at that time is acknowledged.
func (t *topics) ackedNow(name string, number int32, sent time.Time) {
	if found, _ := t.lookup(name); int(number) < len(found.acked) {
		found.acked[number].Store(int64(sent.Sub(t.born)))
	}
}

// ackedAt is when this process sent its newest acknowledged record.
func (t *topics) ackedAt(name string, number int32) time.Time {
	found, _ := t.lookup(name)
	if int(number) >= len(found.acked) {
		return time.Time{}
	}
	since := found.acked[number].Load()
	if since == 0 {
		return time.Time{}
	}
	return t.born.Add(time.Duration(since)) // monotonic: setting the clock does not change it
}

// names are the event types' topics, missing or not.
func (t *topics) names() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wanted
}

func (t *topics) anyMissing() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.missing) > 0
}

// reportMissing creates missing topics if the configuration says so, and logs
// each change of what is missing once.
func (t *topics) reportMissing(ctx context.Context, missing []string) {
	t.mu.Lock()
	changed := !slices.Equal(missing, t.missing)
	t.missing = missing
	t.mu.Unlock()
	if len(missing) == 0 {
		return
	}
	if t.create.Enabled {
		if err := t.createMissing(ctx, missing); err != nil {
			t.logger.Error("creating topics failed", "error", err, "topics", missing)
			return
		}
		t.refreshSoon()
		return
	}
	if changed {
		t.logger.Warn("topics are missing: their event types answer 503 until someone creates them; kafka.create_topics can do it",
			"topics", missing)
	}
}

// spec is how a missing topic is created: with the brokers' default settings.
func (c TopicCreation) spec(name string) librdkafka.TopicSpecification {
	return librdkafka.TopicSpecification{Topic: name, NumPartitions: c.Partitions, ReplicationFactor: c.Replication}
}

func (t *topics) createMissing(ctx context.Context, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*metadataTimeout)
	defer cancel()
	specs := make([]librdkafka.TopicSpecification, len(names))
	for i, n := range names {
		specs[i] = t.create.spec(n)
	}
	var results []librdkafka.TopicResult
	err := t.admin().Use(func(admin *librdkafka.AdminClient) (err error) {
		results, err = admin.CreateTopics(ctx, specs)
		return err
	})
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	for _, r := range results {
		switch r.Error.Code() {
		case librdkafka.ErrNoError:
			t.logger.Info("topic created", "topic", r.Topic, "partitions", t.create.Partitions, "replication", t.create.Replication)
		case librdkafka.ErrTopicAlreadyExists:
		default:
			return fmt.Errorf("create topic %s: %w", r.Topic, r.Error)
		}
	}
	return nil
}

// learnLimits asks for max.message.bytes of new topics, and of all every
// limitsInterval. Without permission, Kafka's default is assumed.
func (t *topics) learnLimits(ctx context.Context, present map[string]topic) {
	t.mu.Lock()
	if time.Since(t.limitsAt) > limitsInterval {
		t.limits = make(map[string]int, len(present))
		t.limitsAt = time.Now()
	}
	var ask []librdkafka.ConfigResource
	for name := range present {
		if _, ok := t.limits[name]; !ok {
			ask = append(ask, librdkafka.ConfigResource{Type: librdkafka.ResourceTopic, Name: name})
		}
	}
	t.mu.Unlock()
	if len(ask) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	var results []librdkafka.ConfigResourceResult
	err := t.admin().Use(func(admin *librdkafka.AdminClient) (err error) {
		results, err = admin.DescribeConfigs(ctx, ask)
		return err
	})
	if err != nil {
		t.logger.Debug("asking topics for their size limit failed", "error", err)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range results {
		n, err := strconv.Atoi(r.Config["max.message.bytes"].Value)
		if r.Error.Code() != librdkafka.ErrNoError || err != nil {
			n = defaultTopicBytes
		}
		t.limits[r.Name] = n
	}
}

func (t *topics) limit(name string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n, ok := t.limits[name]; ok {
		return n
	}
	return defaultTopicBytes
}

// smallestOf is the least max.message.bytes of topics.
func smallestOf(present map[string]topic) int {
	least := defaultTopicBytes
	for _, k := range present {
		least = min(least, k.maxBytes)
	}
	return least
}
