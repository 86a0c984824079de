package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/kafka"
)

// registryTimeout bounds taking an id out of the registry.
const registryTimeout = 5 * time.Second

// registry is a compacted topic with one partition. Its keys are the transactional
// ids that may still append. A rebuild that has lost the claims fences these ids.
type registry struct {
	cfg    Config
	plain  *idempotent // asks and writes
	scan   scanner
	logger *slog.Logger
	topic  string
	host   string
	// purpose ends "topic …, which"
	purpose string

	mu      sync.Mutex
	ensured bool
}

// registration is the value of a registered id, for operators to read.
type registration struct {
	Started time.Time `json:"started"`
	Host    string    `json:"host"`
}

func newRegistry(cfg Config, plain *idempotent, scan scanner, logger *slog.Logger) *registry {
	host, _ := os.Hostname() // "" if there is none
	return &registry{cfg: cfg, plain: plain, scan: scan, logger: logger, topic: registryTopic(cfg), host: host, purpose: "transactions need"}
}

func registryTopic(cfg Config) string { return cfg.TransactionalIDPrefix + "-incarnations" }

// newTopicNotes returns the registry of topicMemory, which has other keys and values.
func newTopicNotes(cfg Config, plain *idempotent, scan scanner, logger *slog.Logger) *registry {
	r := newRegistry(cfg, plain, scan, logger)
	r.topic, r.purpose = cfg.TransactionalIDPrefix+"-topics", "the note of where events were written needs"
	return r
}

// registrySpec is how the topic is created.
func registrySpec(cfg Config) librdkafka.TopicSpecification {
	return compactedSpec(cfg, registryTopic(cfg))
}

func compactedSpec(cfg Config, topic string) librdkafka.TopicSpecification {
	spec := librdkafka.TopicSpecification{Topic: topic, NumPartitions: 1, Config: map[string]string{
		"cleanup.policy": "compact",
		"segment.bytes":  "16777216", // only full segments are compacted, and ids are small
	}}
	if cfg.CreateTopics.Enabled {
		spec.ReplicationFactor = cfg.CreateTopics.Replication // else the cluster's default
	}
	return spec
}

// ensureTopic creates the topic unless it exists.
func (r *registry) ensureTopic(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ensured {
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
		backoff.Sleep(ctx, refreshPause)
		if exists, err = r.exists(ctx); err != nil {
			return err
		}
	}
	r.ensured = true
	return nil
}

func (r *registry) exists(ctx context.Context) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("wait for topic %s: %w", r.topic, err)
	}
	md, err := r.scan.admin().Topic(r.topic, kafka.TimeLeft(ctx, metadataTimeout))
	if err != nil {
		return false, err
	}
	m, ok := md.Topics[r.topic]
	return ok && m.Error.Code() == librdkafka.ErrNoError && len(m.Partitions) > 0, nil
}

func (r *registry) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*metadataTimeout)
	defer cancel()
	spec := compactedSpec(r.cfg, r.topic)
	var results []librdkafka.TopicResult
	err := r.scan.admin().Use(func(admin *librdkafka.AdminClient) (err error) {
		results, err = admin.CreateTopics(ctx, []librdkafka.TopicSpecification{spec},
			librdkafka.SetAdminOperationTimeout(metadataTimeout), librdkafka.SetAdminRequestTimeout(2*metadataTimeout))
		return err
	})
	if err != nil {
		return fmt.Errorf("create topic %s, which %s: %w", r.topic, r.purpose, err)
	}
	for _, result := range results {
		switch result.Error.Code() {
		case librdkafka.ErrNoError:
			r.logger.Info("topic created", "topic", r.topic, "partitions", 1)
		case librdkafka.ErrTopicAlreadyExists:
		default:
			return fmt.Errorf("create topic %s, which %s (with one partition and cleanup.policy=compact): %w", r.topic, r.purpose, result.Error)
		}
	}
	return nil
}

// add registers an id.
func (r *registry) add(ctx context.Context, id string) error {
	value, err := json.Marshal(registration{Started: time.Now().UTC(), Host: r.host})
	if err != nil {
		return fmt.Errorf("register transactional id: %w", err)
	}
	if err := r.write(ctx, id, value); err != nil {
		return fmt.Errorf("register transactional id in %s: %w", r.topic, err)
	}
	return nil
}

// forget takes out an id that surely appends nothing any more. On failure the id
// stays listed and is fenced again later, harmlessly.
func (r *registry) forget(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), registryTimeout)
	defer cancel()
	if err := r.write(ctx, id, nil); err != nil {
		r.logger.Warn("a transactional id that is no longer used could not be taken out of its topic",
			"error", fmt.Errorf("take transactional id out of %s: %w", r.topic, err), "transactional_id", id)
	}
}

func (r *registry) write(ctx context.Context, id string, value []byte) error {
	owner, refused := r.plain.owner(r.topic, 0, shared)
	if refused != nil {
		return refused
	}
	done, refused := r.plain.send(event.Record{
		Placement: event.Placement{Topic: r.topic, Owner: owner}, Key: []byte(id), Value: value, Timestamp: failpoint.Now(),
	})
	if refused != nil {
		return refused
	}
	select {
	case a := <-done:
		ackChannels.Put(done)
		if a.err != nil {
			return a.err
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// list reads the registered ids.
func (r *registry) list(ctx context.Context) ([]string, error) {
	spans, err := r.scan.spans(ctx, []kafka.Partition{{Topic: r.topic}}, time.UnixMilli(0))
	if err != nil {
		return nil, fmt.Errorf("list transactional ids: %w", err)
	}
	present := map[string]bool{}
	err = r.scan.read(ctx, spans, func(m *logRecord) error {
		if m.value == nil {
			delete(present, string(m.key))
		} else {
			present[string(m.key)] = true
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
