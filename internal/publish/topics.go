package publish

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/backoff"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/kafka"
	"eventgateway/internal/preflight"
)

const (
	refreshInterval = 30 * time.Second // partitions may be added at any time
	urgentInterval  = time.Second      // Kafka is away, or a topic is missing
	metadataTimeout = 5 * time.Second
	// Refused requests, each of which asks for a refresh, cause one at once, the next
	// after refreshPause, and others after pauses that grow to mostRefreshPause. A refresh
	// that is asked for calmAfter the last one comes at once again.
	refreshPause     = 100 * time.Millisecond
	mostRefreshPause = time.Second
	calmAfter        = 5 * time.Second
)

// topic is what the gateway needs to know of a topic. All but acked does not change.
type topic struct {
	partitions int32
	topicSettings
	// By partition: the leading broker, -1 for none; a number that partitions with the
	// same brokers as replicas have in common; and how many of those have caught up.
	leaders     []int32
	replicaSets []uint64
	inSync      []int
	// acked has, by partition, when the newest acknowledged record was sent:
	// nanoseconds since born, 0 for never.
	acked []*atomic.Int64
}

// topics caches metadata and settings of the topics of the event types.
type topics struct {
	admin func() *kafka.Admin
	// changed is called with the topics when they differ from those known before
	// lookups see them.
	changed  func(map[string]topic)
	settings *settingsCache
	create   TopicCreation
	logger   *slog.Logger
	born     time.Time

	known   atomic.Pointer[map[string]topic] // nil: Kafka was never reached
	wake    chan struct{}
	reached atomic.Int64 // Unix nanoseconds of the last answer, 0 for never
	cluster atomic.Pointer[string]

	mu     sync.Mutex
	wanted []string
	absent absentTopics // as last logged
	// createFailed says that the last attempt to create missing topics failed.
	createFailed bool
}

// absentTopics are wanted, but no event can be written to them. unclear are those that
// Kafka gives another reason for.
type absentTopics struct{ missing, hidden, unclear []string }

func (a absentTopics) any() bool { return len(a.missing)+len(a.hidden)+len(a.unclear) > 0 }

func newTopics(admin func() *kafka.Admin, changed func(map[string]topic), create TopicCreation, logger *slog.Logger) *topics {
	return &topics{
		admin: admin, changed: changed, settings: newSettingsCache(admin, logger), create: create, logger: logger,
		born: failpoint.Now(), wake: make(chan struct{}, 1),
	}
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

// relearn asks for a topic's settings again: a broker refused a record for one of
// them. It may be called for every refused record.
func (t *topics) relearn(name string) {
	if t.settings.expire(name) {
		t.refreshSoon()
	}
}

// run keeps the cache fresh until ctx ends. after is called after every try,
// with the time when the try began.
func (t *topics) run(ctx context.Context, after func(time.Time, error)) {
	pauses := backoff.NewExponential(refreshPause, mostRefreshPause)
	for ctx.Err() == nil {
		select {
		case <-t.wake: // what follows is the refresh that was asked for
		default:
		}
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
			if time.Since(begun) >= calmAfter {
				pauses.Reset()
				continue
			}
			backoff.SleepUntil(ctx, begun.Add(pauses.Next()))
		}
	}
}

func (t *topics) refresh(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	states, err := t.admin().Describe(asking, t.names())
	if err != nil {
		return err
	}
	if t.cluster.Load() == nil { // before any topic is known: a claim needs the id
		id, err := t.admin().ClusterID(asking)
		if err != nil {
			return err
		}
		t.cluster.Store(&id)
	}
	t.reached.Store(time.Now().UnixNano())

	present, absent := t.divide(states)
	t.settings.learn(ctx, slices.Sorted(maps.Keys(present)))
	for name, p := range present {
		p.topicSettings = t.settings.of(name)
		present[name] = p
	}
	if known := t.known.Load(); known == nil || !equalTopics(*known, present) {
		t.changed(present)
	}
	t.known.Store(&present)
	t.reportAbsent(ctx, absent)
	return nil
}

// divide separates topics that events can be written to, still without settings, from
// others. A topic that Kafka fails to describe stays as it was.
func (t *topics) divide(states []kafka.TopicState) (present map[string]topic, absent absentTopics) {
	present = make(map[string]topic, len(states))
	for _, state := range states {
		before, found := t.lookup(state.Name)
		switch code, _ := kafka.ErrorCode(state.Err); {
		case state.Err == nil && len(state.Partitions) > 0:
			present[state.Name] = describedTopic(state.Partitions, before.acked)
		case code == librdkafka.ErrUnknownTopicOrPart:
			absent.missing = append(absent.missing, state.Name)
			t.settings.forget(state.Name)
		case NotAllowed(state.Err):
			absent.hidden = append(absent.hidden, state.Name)
		case found == topicFound:
			present[state.Name] = before
		default:
			absent.unclear = append(absent.unclear, state.Name)
			t.logger.Debug("kafka does not describe a topic", "topic", state.Name, "error", state.Err)
		}
	}
	return present, absent
}

// describedTopic is a topic without its settings.
func describedTopic(partitions []kafka.PartitionState, acked []*atomic.Int64) topic {
	t := topic{partitions: int32(len(partitions)), acked: counters(acked, len(partitions))} //nolint:gosec // partitions are few
	for _, p := range partitions {
		t.leaders = append(t.leaders, p.Leader)
		t.replicaSets = append(t.replicaSets, replicaSet(p.Replicas))
		t.inSync = append(t.inSync, len(p.InSync))
	}
	return t
}

// equalTopics tells whether nothing but acknowledgements differs.
func equalTopics(these, those map[string]topic) bool {
	return maps.EqualFunc(these, those, func(a, b topic) bool {
		return a.partitions == b.partitions && a.topicSettings == b.topicSettings && slices.Equal(a.leaders, b.leaders) &&
			slices.Equal(a.replicaSets, b.replicaSets) && slices.Equal(a.inSync, b.inSync)
	})
}

// replicaSet is the same number for the same brokers, in whatever order.
func replicaSet(brokers []int32) uint64 {
	hash := fnv.New64a()
	for _, id := range slices.Sorted(slices.Values(brokers)) {
		_ = binary.Write(hash, binary.LittleEndian, id) // a hash takes everything
	}
	return hash.Sum64()
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

// leader is the broker that led a partition when Kafka last said, -1 for none.
func (t *topics) leader(name string, number int32) int32 {
	if found, _ := t.lookup(name); int(number) < len(found.leaders) {
		return found.leaders[number]
	}
	return -1
}

// names are the event types' topics, missing or not.
func (t *topics) names() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wanted
}

// anyMissing tells whether a topic is missing, or not described.
func (t *topics) anyMissing() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.absent.any()
}

// reportAbsent creates missing topics if the configuration says so, and logs
// each change of what is missing or hidden once.
func (t *topics) reportAbsent(ctx context.Context, absent absentTopics) {
	t.mu.Lock()
	before := t.absent
	t.absent = absent
	t.mu.Unlock()
	if len(absent.hidden) > 0 && !slices.Equal(absent.hidden, before.hidden) {
		t.logger.Warn("kafka does not describe topics to the gateway: their event types answer 503 until someone grants it the permission Describe",
			"topics", absent.hidden)
	}
	switch {
	case len(absent.missing) == 0:
	case t.create.Enabled:
		err := t.createMissing(ctx, absent.missing)
		t.mu.Lock()
		t.createFailed = err != nil
		t.mu.Unlock()
		if err != nil {
			t.logger.Error("creating topics failed", "error", err, "topics", absent.missing)
			return
		}
		t.refreshSoon()
	case !slices.Equal(absent.missing, before.missing):
		t.logger.Warn("topics are missing: their event types answer 503 until someone creates them; kafka.create_topics can do it",
			"topics", absent.missing)
	}
}

// spec is how a missing topic is created: with settings that the events need, where they
// differ from the brokers' defaults. Those are nil if they are not known.
func (c TopicCreation) spec(name string, defaults preflight.Settings) librdkafka.TopicSpecification {
	plan := TopicPlan{Name: name, Partitions: c.Partitions, Replication: c.Replication, Retention: c.Retention, MaxRecord: c.MaxRecord}
	return plan.spec(defaults)
}

func (t *topics) createMissing(ctx context.Context, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*metadataTimeout)
	defer cancel()
	defaults := (&inspector{admin: t.admin()}).defaults(ctx)
	specs := make([]librdkafka.TopicSpecification, len(names))
	for i, n := range names {
		specs[i] = t.create.spec(n, defaults)
	}
	var results []librdkafka.TopicResult
	err := t.admin().Use(func(admin *librdkafka.AdminClient) (err error) {
		results, err = admin.CreateTopics(ctx, specs,
			librdkafka.SetAdminOperationTimeout(metadataTimeout), librdkafka.SetAdminRequestTimeout(2*metadataTimeout))
		return err
	})
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	for _, r := range results {
		switch r.Error.Code() {
		case librdkafka.ErrNoError:
			t.logger.Info("topic created", "topic", r.Topic, "partitions", t.create.Partitions, "replication", t.create.Replication,
				"settings", specs[slices.Index(names, r.Topic)].Config)
		case librdkafka.ErrTopicAlreadyExists:
		default:
			return fmt.Errorf("create topic %s: %w", r.Topic, r.Error)
		}
	}
	return nil
}
