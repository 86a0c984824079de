package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"eventgateway/internal/config"
	"eventgateway/internal/kafka"
	"eventgateway/internal/preflight"
	"eventgateway/internal/publish"
	"eventgateway/internal/schema"
)

// CheckKafka compares Kafka with what the configuration and the event types need. It
// takes some seconds, half a minute if brokers do not answer.
func CheckKafka(ctx context.Context, cfg *config.Config, set *schema.Set) []preflight.Finding {
	replays := replayNeeds(cfg)
	names := topics(cfg, set)
	for _, n := range replays {
		names = append(names, n.Name)
	}
	facts := publish.Inspect(ctx, producerConfig(cfg), names)
	if facts.Unreachable == nil {
		facts.Groups = subscriptionGroups(ctx, cfg)
	}
	// The first replay makes them: only those that exist, and may be seen, are judged.
	facts.Topics = slices.DeleteFunc(facts.Topics, func(t preflight.TopicFacts) bool {
		return (t.Presence == preflight.Missing || t.Presence == preflight.Hidden) && slices.ContainsFunc(replays, func(n preflight.TopicNeeds) bool { return n.Name == t.Name })
	})
	needs := kafkaNeeds(cfg, set)
	needs.Topics = append(needs.Topics, replays...)
	return preflight.Kafka(facts, needs)
}

func kafkaNeeds(cfg *config.Config, set *schema.Set) preflight.KafkaNeeds {
	return preflight.KafkaNeeds{
		Bootstrap: strings.Join(cfg.Kafka.Brokers, ","),
		Topics:    topicNeeds(cfg, set), Subscriptions: subscriptionNeeds(cfg, set),
		Compression: kafka.Connection{Properties: cfg.Kafka.Properties}.Compression(),
		KeyWindow:   cfg.Idempotency.TTL,
		Partitions:  cfg.Kafka.CreateTopics.Partitions, Replication: cfg.Kafka.CreateTopics.Replication,
		CreateTopics:          cfg.Kafka.CreateTopics.Enabled,
		TransactionTimeout:    cfg.Kafka.TransactionTimeout,
		TransactionalIDPrefix: cfg.Kafka.TransactionalIDPrefix,
	}
}

// setTopics tells the log where the events of all types, and dead letters, are written.
func setTopics(log *publish.Log, cfg *config.Config, set *schema.Set) {
	types := map[string][]string{}
	for _, n := range topicNeeds(cfg, set) {
		types[n.Name] = n.Types
	}
	for _, w := range cfg.Webhooks {
		if topic := w.DeadLetters(); topic != "" {
			types[topic] = []string{publish.AnyType} // also types that there are not
		}
	}
	log.SetTypes(types)
	log.SetTopics(topics(cfg, set))
}

// topicNeeds lists what all versions of all event types, and dead letters, need of
// their topics, ordered by topic.
func topicNeeds(cfg *config.Config, set *schema.Set) []preflight.TopicNeeds {
	names := topics(cfg, set)
	needs := make([]preflight.TopicNeeds, len(names))
	for i, name := range names {
		needs[i].Name = name
	}
	for _, t := range set.Types() {
		for _, version := range t.Versions {
			def, err := set.Lookup(t.Name, version)
			if err != nil {
				continue // cannot happen: the set itself listed this version
			}
			at, _ := slices.BinarySearch(names, def.Topic)
			n := &needs[at]
			n.Types = appendOnce(n.Types, t.Name)
			if len(def.KeyPointers) == 0 {
				n.Keyless = appendOnce(n.Keyless, t.Name)
			}
			if def.Tombstones {
				n.Tombstones = appendOnce(n.Tombstones, t.Name)
			}
			data := int(cfg.HTTP.BodyLimit.Bytes())
			if def.BodyLimit > 0 {
				data = min(data, def.BodyLimit)
			}
			if data > n.MaxData {
				n.MaxData, n.Largest = data, t.Name
			}
		}
	}
	needDeadLetters(cfg, needs)
	needSubscriptionDeadLetters(cfg, set, needs)
	return needs
}

func appendOnce(list []string, one string) []string {
	if slices.Contains(list, one) {
		return list
	}
	return append(list, one)
}

// TopicOptions say how missing topics are created.
type TopicOptions struct {
	Partitions, Replication int  // 0: as kafka.create_topics says
	DryRun                  bool // only ask Kafka whether it would create them
}

// CreateTopics creates the missing topics of all event types, of dead letters and of their
// replays, with settings that exactly-once delivery needs. It does not change existing topics.
func CreateTopics(ctx context.Context, cfg *config.Config, how TopicOptions) ([]publish.TopicOutcome, error) {
	set, err := schema.Load(cfg.Schemas.Dir)
	if err != nil {
		return nil, fmt.Errorf("schemas: %w", err)
	}
	needs := kafkaNeeds(cfg, set)
	var plans []publish.TopicPlan
	for _, n := range append(needs.Topics, replayNeeds(cfg)...) {
		plans = append(plans, publish.TopicPlan{
			Name:       n.Name,
			Partitions: cmp.Or(how.Partitions, needs.Partitions), Replication: cmp.Or(how.Replication, needs.Replication),
			Retention: needs.RetentionOf(n), MaxRecord: n.MaxData + preflight.HeaderRoom,
		})
	}
	return publish.CreateTopics(ctx, producerConfig(cfg), plans, how.DryRun)
}
