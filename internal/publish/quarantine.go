package publish

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

const (
	// probeInterval is how often an event of a quarantined topic or partition is sent
	// to see whether Kafka takes it again.
	probeInterval = 2 * time.Second
	// rareProbes is the longest pause between probes of a partition that does not
	// acknowledge: each takes a whole delivery timeout.
	rareProbes = 8 * time.Second
	// apartTime is how long after the refusal of a record its topic is written apart
	// from others.
	apartTime = 30 * time.Second
)

// ofTopic are the refusals that say something about a topic, not about a record: the
// next record will be refused as well.
var ofTopic = map[librdkafka.ErrorCode]string{
	librdkafka.ErrTopicAuthorizationFailed:    "not-allowed",
	librdkafka.ErrPolicyViolation:             "policy",
	librdkafka.ErrTopicException:              "invalid-topic",
	librdkafka.ErrUnsupportedForMessageFormat: "message-format",
	librdkafka.ErrUnsupportedCompressionType:  "compression",
	librdkafka.ErrSecurityDisabled:            "security-disabled",
}

const stuckReason = "not-acknowledged"

// quarantine knows which topics Kafka refuses and which partitions do not acknowledge.
// Their events are refused at once, except for a probe now and then, which is written
// apart from the records of others.
//
// A topic of which a single record was refused, for its size or timestamp say, is not
// quarantined: its other records may be fine. It is only written apart for a while.
type quarantine struct {
	logger  *slog.Logger
	metrics *Metrics
	now     func() time.Time

	some atomic.Bool // anything below: most of the time there is nothing
	mu   sync.Mutex
	// topics and partitions are those in quarantine.
	topics     map[string]*inQuarantine
	partitions map[kafka.Partition]*inQuarantine
	apart      map[string]time.Time // until when a topic is written apart
}

type inQuarantine struct {
	reason string
	detail string // for callers
	cause  error
	since  time.Time
	probe  time.Time     // when the next one is due
	pause  time.Duration // between this and the one after
}

func newQuarantine(logger *slog.Logger, metrics *Metrics) *quarantine {
	return &quarantine{
		logger: logger, metrics: metrics, now: time.Now,
		topics: map[string]*inQuarantine{}, partitions: map[kafka.Partition]*inQuarantine{}, apart: map[string]time.Time{},
	}
}

// admit says whether a record of the partition may be placed now, and which kind of
// producer is to write it.
func (q *quarantine) admit(topic string, partition int32) (by writer, refused *event.Error) {
	return q.check(topic, partition, func(*inQuarantine) {})
}

// pass says whether a record may be sent now. In quarantine that is the probe: only a
// record that is really sent is one, and not, say, a retry whose key is still held.
func (q *quarantine) pass(topic string, partition int32) (refused *event.Error) {
	_, refused = q.check(topic, partition, func(held *inQuarantine) {
		held.probe = q.now().Add(held.pause)
		if held.reason == stuckReason {
			held.pause = min(2*held.pause, rareProbes)
		}
	})
	return refused
}

func (q *quarantine) check(topic string, partition int32, due func(*inQuarantine)) (by writer, refused *event.Error) {
	if !q.some.Load() {
		return shared, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	held := q.topics[topic]
	if held == nil {
		held = q.partitions[kafka.Partition{Topic: topic, Number: partition}]
	}
	now := q.now()
	switch {
	case held == nil && now.Before(q.apart[topic]):
		return apart, nil
	case held == nil:
		return shared, nil
	case now.Before(held.probe):
		return shared, event.RefuseCause(event.LogUnavailable, held.cause, "%s", held.detail)
	}
	due(held)
	if held.reason == stuckReason {
		return probing, nil
	}
	return apart, nil
}

// refused notes that Kafka refused a record.
func (q *quarantine) refused(topic string, code librdkafka.ErrorCode, r refusal, cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.some.Store(true)
	now := q.now()
	q.apart[topic] = now.Add(apartTime)
	reason, all := ofTopic[code]
	if !all {
		return
	}
	held := q.topics[topic]
	if held == nil {
		q.logger.Error("kafka refuses a topic: its events are refused until it takes one again",
			"topic", topic, "reason", reason, "error", cause, "probe_interval", probeInterval)
		held = &inQuarantine{since: now, pause: probeInterval}
		q.topics[topic] = held
	}
	if held.reason != reason {
		q.metrics.quarantined.DeleteLabelValues(topic, held.reason)
		q.metrics.quarantined.WithLabelValues(topic, reason).Set(1)
	}
	held.reason, held.detail, held.cause, held.probe = reason, r.detail, cause, now.Add(probeInterval)
}

// stuck notes that a partition did not acknowledge records in time.
func (q *quarantine) stuck(topic string, partition int32) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.some.Store(true)
	now := q.now()
	at := kafka.Partition{Topic: topic, Number: partition}
	if q.partitions[at] == nil {
		q.partitions[at] = &inQuarantine{
			reason: stuckReason, since: now, cause: errOverdue, probe: now.Add(probeInterval), pause: 2 * probeInterval,
			detail: "Kafka has not acknowledged events of this partition for some time. This one was not written; send it again.",
		}
		q.metrics.quarantined.WithLabelValues(topic, stuckReason).Set(1)
	}
}

// acknowledged notes that Kafka took a record that was handed over at that time. One
// that was under way before the quarantine began proves nothing.
func (q *quarantine) acknowledged(at event.Placement, handed time.Time) {
	if !q.some.Load() {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if held := q.topics[at.Topic]; held != nil && handed.After(held.since) {
		delete(q.topics, at.Topic)
		q.metrics.quarantined.DeleteLabelValues(at.Topic, held.reason)
		q.logger.Info("kafka takes a topic again", "topic", at.Topic, "refused_for", q.now().Sub(held.since))
	}
	part := kafka.Partition{Topic: at.Topic, Number: at.Partition}
	if held := q.partitions[part]; held != nil && handed.After(held.since) {
		delete(q.partitions, part)
		q.endedStuck(at.Topic)
		q.logger.Info("kafka acknowledges a partition again", "topic", at.Topic, "partition", at.Partition, "refused_for", q.now().Sub(held.since))
	}
	q.forget()
}

// keep forgets topics that are not known any more.
func (q *quarantine) keep(known map[string]topic) {
	if !q.some.Load() {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for name, held := range q.topics {
		if _, ok := known[name]; !ok {
			delete(q.topics, name)
			q.metrics.quarantined.DeleteLabelValues(name, held.reason)
		}
	}
	for part := range q.partitions {
		if _, ok := known[part.Topic]; !ok {
			delete(q.partitions, part)
			q.endedStuck(part.Topic)
		}
	}
	q.forget()
}

// list is what is in quarantine, ordered by topic: first a topic as a whole, then its
// partitions.
func (q *quarantine) list() []Quarantined {
	if !q.some.Load() {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []Quarantined
	for name, held := range q.topics {
		all = append(all, Quarantined{Topic: name, Reason: held.reason, Since: held.since})
	}
	stuck := map[string]*Quarantined{}
	for part, held := range q.partitions {
		of := stuck[part.Topic]
		if of == nil {
			of = &Quarantined{Topic: part.Topic, Reason: held.reason, Since: held.since}
			stuck[part.Topic] = of
		}
		of.Partitions = append(of.Partitions, part.Number)
		if held.since.Before(of.Since) {
			of.Since = held.since
		}
	}
	for _, of := range stuck {
		slices.Sort(of.Partitions)
		all = append(all, *of)
	}
	slices.SortFunc(all, func(a, b Quarantined) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), len(a.Partitions)-len(b.Partitions))
	})
	return all
}

// endedStuck takes the metric away with the topic's last stuck partition.
func (q *quarantine) endedStuck(topic string) {
	for part := range q.partitions {
		if part.Topic == topic {
			return
		}
	}
	q.metrics.quarantined.DeleteLabelValues(topic, stuckReason)
}

// forget forgets what is over.
func (q *quarantine) forget() {
	now := q.now()
	for topic, until := range q.apart {
		if now.After(until) && q.topics[topic] == nil {
			delete(q.apart, topic)
		}
	}
	q.some.Store(len(q.topics)+len(q.partitions)+len(q.apart) > 0)
}
