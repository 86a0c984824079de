package publish

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/kafka"
)

const (
	// defaultReplicaLag is Kafka's default replica.lag.time.max.ms.
	defaultReplicaLag = 30 * time.Second
	// quietMargin is for the broker's bookkeeping: every half replica lag it looks
	// for followers that are behind, and tells the controller.
	quietMargin = 2 * time.Second
	// leaseMargin is for the rounding of clocks.
	leaseMargin = time.Second
)

// errNoTopic says that Kafka has no such topic.
var errNoTopic = errors.New("kafka has no such topic")

// replication is what decides how far a partition's high watermark can be
// behind the end of its leader's log, which a consumer cannot see.
type replication struct {
	replicas, inSync int
	minInSync        int // min.insync.replicas; 0: not known
	lag              time.Duration
	ackedAt          time.Time // when this process sent its newest acknowledged record
}

// left is how long to wait until the high watermark is beyond everything that
// was appended before since. Three facts prove it: there is no follower to wait
// for; a record that was sent later is acknowledged; or followers have had the time
// after which Kafka drops those that have not caught up.
func (r replication) left(since, now time.Time) time.Duration {
	wait := since.Add(leaseMargin).Sub(now)
	switch {
	case wait > 0 || r.replicas == 1 || r.ackedAt.After(since):
		return wait
	case r.inSync < r.enoughInSync():
		// The high watermark does not move until followers are back.
		return max(defaultRetry, r.quietAt(since).Sub(now))
	default:
		return r.quietAt(since).Sub(now)
	}
}

const defaultRetry = 5 * time.Second

func (r replication) quietAt(since time.Time) time.Time {
	return since.Add(r.lag + r.lag/2 + quietMargin)
}

// enoughInSync is how many replicas the high watermark needs to move on.
func (r replication) enoughInSync() int {
	if r.minInSync > 0 {
		return r.minInSync
	}
	return r.replicas
}

// partitionsOf asks Kafka about one topic's partitions. It fails with errNoTopic only if
// the controller says so too.
func (r *Reader) partitionsOf(ctx context.Context, topicName string) (librdkafka.TopicMetadata, error) {
	md, err := r.scan.admin().Topic(topicName, kafka.TimeLeft(ctx, metadataTimeout))
	if err != nil {
		return librdkafka.TopicMetadata{}, err
	}
	found, ok := md.Topics[topicName]
	if ok && found.Error.Code() == librdkafka.ErrUnknownTopicOrPart {
		return found, r.confirmMissing(ctx, topicName)
	}
	if !ok || found.Error.Code() != librdkafka.ErrNoError {
		return found, fmt.Errorf("ask kafka about topic %s: %w", topicName, found.Error)
	}
	return found, nil
}

// errTopicLags says that a broker does not know a topic yet that there is.
var errTopicLags = errors.New("kafka's controller has the topic, and the broker that was asked does not know it yet")

// confirmMissing asks the controller whether there is no such topic: what a broker knows
// may be old. Metadata comes from any broker, and what brokers call the controller is, in
// KRaft, any broker too. Only what changes something reaches the controller, so it is
// asked whether it would create the topic. It says whether the topic exists before it
// looks at anything but the permission.
func (r *Reader) confirmMissing(ctx context.Context, topicName string) error {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	var results []librdkafka.TopicResult
	err := r.scan.admin().Use(func(admin *librdkafka.AdminClient) (err error) {
		results, err = admin.CreateTopics(ctx,
			[]librdkafka.TopicSpecification{{Topic: topicName, NumPartitions: 1, ReplicationFactor: 1}},
			librdkafka.SetAdminValidateOnly(true), librdkafka.SetAdminRequestTimeout(metadataTimeout))
		return err
	})
	if err != nil {
		return fmt.Errorf("ask kafka's controller about topic %s: %w", topicName, err)
	}
	if len(results) != 1 {
		return fmt.Errorf("ask kafka's controller about topic %s: no answer", topicName)
	}
	switch refused := results[0].Error; refused.Code() {
	case librdkafka.ErrTopicAlreadyExists:
		return fmt.Errorf("ask kafka about topic %s: %w", topicName, errTopicLags)
	case librdkafka.ErrNoError, librdkafka.ErrPolicyViolation, librdkafka.ErrInvalidReplicationFactor,
		librdkafka.ErrInvalidPartitions, librdkafka.ErrInvalidConfig, librdkafka.ErrTopicException:
		return errNoTopic
	case librdkafka.ErrTopicAuthorizationFailed, librdkafka.ErrClusterAuthorizationFailed:
		return r.confirmWithBrokers(ctx, topicName)
	default:
		return fmt.Errorf("ask kafka's controller about topic %s: %w", topicName, refused)
	}
}

// confirmWithBrokers is confirmMissing without the permission to create topics: every
// broker has to say that there is no such topic. Without franz-go, which can ask one, the
// one that was asked has to do.
func (r *Reader) confirmWithBrokers(ctx context.Context, topicName string) error {
	if r.scan.franz == nil {
		return errNoTopic
	}
	known, err := r.scan.franz.knownAnywhere(ctx, topicName)
	if err != nil {
		return fmt.Errorf("ask all brokers about topic %s: %w", topicName, err)
	}
	if known {
		return fmt.Errorf("ask kafka about topic %s: %w", topicName, errTopicLags)
	}
	return errNoTopic
}

// replicationOf asks Kafka about the replicas of one topic's partitions.
func (r *Reader) replicationOf(ctx context.Context, topicName string) (map[int32]replication, error) {
	found, err := r.partitionsOf(ctx, topicName)
	if err != nil {
		return nil, err
	}
	facts := make(map[int32]replication, len(found.Partitions))
	for _, part := range found.Partitions {
		facts[part.ID] = replication{
			replicas: len(part.Replicas), inSync: len(part.Isrs), lag: defaultReplicaLag,
			ackedAt: r.topicFacts.ackedAt(topicName, part.ID),
		}
	}
	r.learnReplication(ctx, found, facts)
	return facts, nil
}

// learnReplication adds the settings of the topic and of one broker, which stands for
// all. Without permission to see them, Kafka's default and the strictest assumption
// stay.
func (r *Reader) learnReplication(ctx context.Context, md librdkafka.TopicMetadata, facts map[int32]replication) {
	if len(md.Partitions) == 0 || len(md.Partitions[0].Replicas) == 1 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	broker := strconv.Itoa(int(md.Partitions[0].Leader))
	minInSync := r.setting(ctx, librdkafka.ResourceTopic, md.Topic, "min.insync.replicas")
	lag := time.Duration(r.setting(ctx, librdkafka.ResourceBroker, broker, "replica.lag.time.max.ms")) * time.Millisecond
	for id, known := range facts {
		known.minInSync = minInSync
		if lag > 0 {
			known.lag = lag
		}
		facts[id] = known
	}
}

// setting reads an integer setting of a topic or broker, 0 if it cannot.
func (r *Reader) setting(ctx context.Context, kind librdkafka.ResourceType, of, name string) int {
	var results []librdkafka.ConfigResourceResult
	err := r.scan.admin().Use(func(admin *librdkafka.AdminClient) (err error) {
		results, err = admin.DescribeConfigs(ctx, []librdkafka.ConfigResource{{Type: kind, Name: of}})
		return err
	})
	if err != nil || len(results) != 1 || results[0].Error.Code() != librdkafka.ErrNoError {
		r.logger.Warn("kafka does not show a setting: the strictest value is assumed", "setting", name, "of", of, "error", err)
		return 0
	}
	n, err := strconv.Atoi(results[0].Config[name].Value)
	if err != nil {
		return 0
	}
	return n
}
