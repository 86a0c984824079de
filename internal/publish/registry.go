package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/kafka"
)

// ownSegmentBytes is small because only full segments are compacted, and a gateway that
// starts reads what is left: a registration is renewed with some 200 bytes.
const ownSegmentBytes = 1 << 20

// replicasForTwoInSync is from how many replicas on two must acknowledge.
const replicasForTwoInSync = 3

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
	// process is the id of this gateway.
	process string
	// purpose ends "topic …, which"
	purpose string

	mu      sync.Mutex
	ensured bool
}

// registration is the value of a registered id, for operators to read.
type registration struct {
	Started time.Time `json:"started"`
	Host    string    `json:"host"`
	Process string    `json:"process,omitempty"` // of the gateway; none before there were process ids
}

func newRegistry(cfg Config, plain *idempotent, scan scanner, logger *slog.Logger) *registry {
	host, _ := os.Hostname() // "" if there is none
	return &registry{cfg: cfg, plain: plain, scan: scan, logger: logger, topic: registryTopic(cfg), host: host, purpose: "transactions need"}
}

func registryTopic(cfg Config) string { return cfg.TransactionalIDPrefix + "-incarnations" }

func notesTopic(cfg Config) string { return cfg.TransactionalIDPrefix + "-topics" }

// newTopicNotes returns the registry of topicMemory, which has other keys and values.
func newTopicNotes(cfg Config, plain *idempotent, scan scanner, logger *slog.Logger) *registry {
	r := newRegistry(cfg, plain, scan, logger)
	r.topic, r.purpose = notesTopic(cfg), "the note of where events were written needs"
	return r
}

// compactedSpec is how the gateway's own topics are created.
func compactedSpec(cfg Config, topic string) librdkafka.TopicSpecification {
	spec := librdkafka.TopicSpecification{Topic: topic, NumPartitions: 1, Config: map[string]string{
		"cleanup.policy": "compact",
		"segment.bytes":  strconv.Itoa(ownSegmentBytes),
	}}
	if cfg.CreateTopics.Enabled {
		spec.ReplicationFactor = cfg.CreateTopics.Replication // else the cluster's default
		if spec.ReplicationFactor >= replicasForTwoInSync {
			spec.Config["min.insync.replicas"] = "2"
		}
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

// lookAgain makes ensureTopic look whether the topic is still there.
func (r *registry) lookAgain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ensured = false
}

// add registers an id.
func (r *registry) add(ctx context.Context, id string) error {
	value, err := json.Marshal(registration{Started: time.Now().UTC(), Host: r.host, Process: r.process})
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

// list reads the registered ids, and which process each is of: "" if that is not known.
func (r *registry) list(ctx context.Context) (processes map[string]string, err error) {
	spans, err := r.scan.spans(ctx, []kafka.Partition{{Topic: r.topic}}, time.UnixMilli(0))
	if err != nil {
		return nil, fmt.Errorf("list transactional ids: %w", err)
	}
	processes = map[string]string{}
	err = r.scan.read(ctx, spans, func(m *logRecord) error {
		if m.value == nil {
			delete(processes, string(m.key))
			return nil
		}
		var v registration
		_ = json.Unmarshal(m.value, &v) // a value that is not understood names no process
		processes[string(m.key)] = v.Process
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list transactional ids: %w", err)
	}
	return processes, nil
}
