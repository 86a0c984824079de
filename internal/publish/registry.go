package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// registryTimeout bounds taking an id out of the registry.
const registryTimeout = 5 * time.Second

// registry is a compacted topic of one partition: which transactional ids may
// still append. Its keys are the ids. It is what tells a rebuild whom to fence,
// when the claims that named them are lost.
type registry struct {
	p     *Producer
	topic string
	host  string

	mu       sync.Mutex
	prepared bool
}

// registration is the value of a registered id; it is for people.
type registration struct {
	Started time.Time `json:"started"`
	Host    string    `json:"host"`
}

func newRegistry(p *Producer) *registry {
	host, _ := os.Hostname() // "" if there is none
	return &registry{p: p, topic: registryTopic(p.cfg), host: host}
}

func registryTopic(cfg Config) string { return cfg.TransactionalIDPrefix + "-incarnations" }

// registrySpec is how the topic is created.
func registrySpec(cfg Config) kafka.TopicSpecification {
	spec := kafka.TopicSpecification{Topic: registryTopic(cfg), NumPartitions: 1, Config: map[string]string{
		"cleanup.policy": "compact",
		"segment.bytes":  "16777216", // only full segments are compacted, and ids are small
	}}
	if cfg.CreateTopics.Enabled {
		spec.ReplicationFactor = cfg.CreateTopics.Replication // else the cluster's default
	}
	return spec
}

// prepare makes sure that the topic exists.
func (r *registry) prepare(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.prepared {
		return nil
	}
	exists, err := r.exists(ctx)
	if err != nil {
		return err
	}
	if !exists {
		if err := r.create(ctx); err != nil {
			return err
		}
	}
	for !exists {
		waitUntil(ctx, time.Now().Add(kickPause))
		if exists, err = r.exists(ctx); err != nil {
			return err
		}
	}
	r.prepared = true
	return nil
}

func (r *registry) exists(ctx context.Context) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("wait for topic %s: %w", r.topic, err)
	}
	md, err := r.p.present().topicMetadata(r.topic, timeLeft(ctx, metadataTimeout))
	if err != nil {
		return false, err
	}
	m, ok := md.Topics[r.topic]
	return ok && m.Error.Code() == kafka.ErrNoError && len(m.Partitions) > 0, nil
}

func (r *registry) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*metadataTimeout)
	defer cancel()
	spec := registrySpec(r.p.cfg)
	var results []kafka.TopicResult
	err := r.p.present().use(func(admin *kafka.AdminClient) (err error) {
		results, err = admin.CreateTopics(ctx, []kafka.TopicSpecification{spec})
		return err
	})
	if err != nil {
		return fmt.Errorf("create topic %s, which transactions need: %w", r.topic, err)
	}
	for _, result := range results {
		switch result.Error.Code() {
		case kafka.ErrNoError:
			r.p.logger.Info("topic created", "topic", r.topic, "partitions", 1)
		case kafka.ErrTopicAlreadyExists:
		default:
			return fmt.Errorf("create topic %s, which transactions need (with one partition and cleanup.policy=compact): %w", r.topic, result.Error)
		}
	}
	return nil
}

// enter registers an id.
func (r *registry) enter(ctx context.Context, id string) error {
	value, err := json.Marshal(registration{Started: time.Now().UTC(), Host: r.host})
	if err != nil {
		return fmt.Errorf("register transactional id: %w", err)
	}
	if err := r.write(ctx, id, value); err != nil {
		return fmt.Errorf("register transactional id in %s: %w", r.topic, err)
	}
	return nil
}

// strike takes out an id that surely appends nothing any more.
func (r *registry) strike(ctx context.Context, id string) error {
	if err := r.write(ctx, id, nil); err != nil {
		return fmt.Errorf("take transactional id out of %s: %w", r.topic, err)
	}
	return nil
}

func (r *registry) write(ctx context.Context, id string, value []byte) error {
	done := make(chan kafka.Event, 1)
	err := r.p.present().produce(&kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: &r.topic}, Key: []byte(id), Value: value,
	}, done)
	if err != nil {
		return err
	}
	select {
	case ev := <-done:
		if m, ok := ev.(*kafka.Message); ok {
			return m.TopicPartition.Error
		}
		return fmt.Errorf("delivery report is a %T", ev)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// list reads the registered ids.
func (r *registry) list(ctx context.Context) ([]string, error) {
	spans, err := r.p.spans(ctx, []partition{{r.topic, 0}}, time.UnixMilli(0))
	if err != nil {
		return nil, fmt.Errorf("list transactional ids: %w", err)
	}
	present := map[string]bool{}
	err = r.p.scan(ctx, spans, func(m *kafka.Message) error {
		if m.Value == nil {
			delete(present, string(m.Key))
		} else {
			present[string(m.Key)] = true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list transactional ids: %w", err)
	}
	ids := make([]string, 0, len(present))
	for id := range present {
		ids = append(ids, id)
	}
	return ids, nil
}
