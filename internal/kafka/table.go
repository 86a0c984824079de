package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
)

const (
	// tableSegmentBytes is small because only full segments are compacted.
	tableSegmentBytes = 1 << 20
	tableFetchWait    = 5 * time.Second
	tableFetchBytes   = 1 << 20
	tableTimeout      = 10 * time.Second
	tablePause        = 200 * time.Millisecond
)

// Table is a small compacted topic with one partition, as a table of values by key: for
// the gateway's own state, never for events. It connects when it is first used.
type Table struct {
	topic       string
	replication int16 // -1: the cluster's default
	conn        Connection
	logger      *slog.Logger
}

// NewTable describes a table; replication 0 is the cluster's default.
func (c Connection) NewTable(topic string, replication int, logger *slog.Logger) *Table {
	t := &Table{topic: topic, replication: -1, conn: c, logger: logger}
	if replication > 0 {
		t.replication = int16(min(replication, 1<<15-1))
	}
	return t
}

// Topic is the name of the topic.
func (t *Table) Topic() string { return t.topic }

func (t *Table) client(more ...kgo.Opt) (*kgo.Client, error) {
	opts, missing, err := t.conn.FranzOptions()
	if err == nil && len(missing) > 0 {
		err = errors.New(onlyLibrdkafka(missing))
	}
	if err != nil {
		return nil, fmt.Errorf("create kafka client for %s: %w", t.topic, err)
	}
	return kgo.NewClient(append(append(opts, kgo.WithLogger(FranzLogger(t.logger))), more...)...)
}

// ensure creates the topic unless it exists. It asks before it creates, because a user
// may be allowed to read and not to create.
func (t *Table) ensure(ctx context.Context, client *kgo.Client) error {
	admin := kadm.NewClient(client)
	details, err := admin.ListTopics(ctx, t.topic)
	if err != nil {
		return fmt.Errorf("ask kafka for topic %s: %w", t.topic, err)
	}
	if details.Has(t.topic) && details[t.topic].Err == nil {
		return nil
	}
	policy, segment := "compact", strconv.Itoa(tableSegmentBytes)
	_, err = admin.CreateTopic(ctx, 1, t.replication, map[string]*string{"cleanup.policy": &policy, "segment.bytes": &segment}, t.topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("create topic %s (with one partition and cleanup.policy=compact): %w", t.topic, err)
	}
	return nil
}

// Ensure creates the topic unless it exists.
func (t *Table) Ensure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tableTimeout)
	defer cancel()
	client, err := t.client()
	if err != nil {
		return err
	}
	defer client.Close()
	return t.ensure(ctx, client)
}

// Write sets the value of a key and returns when Kafka has it.
func (t *Table) Write(ctx context.Context, key string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, tableTimeout)
	defer cancel()
	client, err := t.client(kgo.RequiredAcks(kgo.AllISRAcks()))
	if err != nil {
		return err
	}
	defer client.Close()
	if err := t.ensure(ctx, client); err != nil {
		return err
	}
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: t.topic, Key: []byte(key), Value: value}).FirstErr(); err != nil {
		return fmt.Errorf("write %s to %s: %w", key, t.topic, err)
	}
	return nil
}

// Read returns all values by key. It is empty if there is no topic.
func (t *Table) Read(ctx context.Context) (map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, tableTimeout)
	defer cancel()
	client, err := t.client()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	details, err := admin.ListTopics(ctx, t.topic)
	if err != nil {
		return nil, fmt.Errorf("ask kafka for topic %s: %w", t.topic, err)
	}
	if !details.Has(t.topic) || details[t.topic].Err != nil {
		return map[string][]byte{}, nil
	}
	values := map[string][]byte{}
	done, stop := context.WithCancel(ctx)
	defer stop()
	err = t.follow(done, false, func(key string, value []byte) { values[key] = value }, stop)
	if err == nil || ctx.Err() == nil && done.Err() != nil {
		return values, nil
	}
	return nil, err
}

// Follow creates the topic unless it exists, and calls set for each value, old ones
// first, until ctx ends; nil is a value that was deleted. It calls caughtUp when all values
// were read that were there when it was called.
func (t *Table) Follow(ctx context.Context, set func(key string, value []byte), caughtUp func()) error {
	return t.follow(ctx, true, set, caughtUp)
}

func (t *Table) follow(ctx context.Context, create bool, set func(string, []byte), caughtUp func()) error {
	client, err := t.client(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{t.topic: {0: kgo.NewOffset().AtStart()}}),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // the topic was deleted and created again
		kgo.FetchMaxWait(tableFetchWait), kgo.FetchMaxBytes(tableFetchBytes), kgo.FetchMaxPartitionBytes(tableFetchBytes),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	if create {
		if err := t.ensure(ctx, client); err != nil {
			return err
		}
	}
	end, err := t.end(ctx, client)
	if err != nil {
		return err
	}
	next, told := int64(0), false
	for {
		if !told && next >= end {
			told = true
			caughtUp()
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read %s: %w", t.topic, err)
		}
		fetches := client.PollFetches(ctx)
		for _, r := range fetches.Records() {
			set(string(r.Key), r.Value)
			next = r.Offset + 1
		}
		if err := fetches.Err0(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("read %s: %w", t.topic, err)
		}
		for _, e := range fetches.Errors() {
			if ctx.Err() == nil {
				return fmt.Errorf("read %s: %w", t.topic, e.Err)
			}
		}
	}
}

// end is the offset after the last record.
func (t *Table) end(ctx context.Context, client *kgo.Client) (int64, error) {
	asking, cancel := context.WithTimeout(ctx, tableTimeout)
	defer cancel()
	for {
		listed, err := kadm.NewClient(client).ListEndOffsets(asking, t.topic)
		if err == nil {
			err = listed.Error()
		}
		if o, ok := listed.Lookup(t.topic, 0); err == nil && ok {
			return o.Offset, nil
		}
		if !backoff.Sleep(asking, tablePause) { // a topic that was just created has no leader yet
			return 0, fmt.Errorf("ask kafka for the end of %s: %w", t.topic, errors.Join(err, asking.Err()))
		}
	}
}
