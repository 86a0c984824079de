package publish

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"eventgateway/internal/backoff"
	"eventgateway/internal/kafka"
)

const (
	// followWait is how long a broker may wait for the next record before it answers: an
	// idle gateway asks once in this time, and a record is still answered at once.
	followWait = 5 * time.Second
	// followBytes bounds one answer.
	followBytes = 1 << 20
	// followPoll is how soon librdkafka's follower notices that it is to end.
	followPoll = 500 * time.Millisecond
	// followPause is the pause after an error.
	followPause = 200 * time.Millisecond
)

// follower reads the first partition of a topic from its beginning on, and waits for more
// at its end. It is for one goroutine.
type follower interface {
	// next returns what came next, perhaps nothing, or why nothing comes at present. After
	// ctx has ended it returns soon.
	next(ctx context.Context) ([]*kgo.Record, error)
	close()
}

// newFollower returns a follower that reads with the client that the scanner reads with.
// It has a connection of its own: a broker answers the requests of a connection one after
// the other, and these are to wait there.
func (s scanner) newFollower(topic string, logger *slog.Logger) (follower, error) {
	if s.franz == nil {
		return newLibrdkafkaFollower(s.connection, topic)
	}
	opts, _, err := s.connection.FranzOptions()
	if err != nil {
		return nil, err
	}
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.Fetch), fetchVersion)
	versions.SetMaxKeyVersion(int16(kmsg.Metadata), metadataVersion)
	client, err := kgo.NewClient(append(opts,
		kgo.MaxVersions(versions), kgo.WithLogger(kafka.FranzLogger(logger)), kgo.RetryBackoffFn(retryPause),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // the topic was deleted and created again
		kgo.FetchMaxWait(followWait), kgo.FetchMaxBytes(followBytes), kgo.FetchMaxPartitionBytes(followBytes),
	)...)
	if err != nil {
		return nil, fmt.Errorf("create kafka reader: %w", err)
	}
	return franzFollower{client}, nil
}

type franzFollower struct{ client *kgo.Client }

func (f franzFollower) next(ctx context.Context) ([]*kgo.Record, error) {
	fetches := f.client.PollFetches(ctx)
	var err error
	fetches.EachError(func(_ string, _ int32, e error) { err = e })
	return fetches.Records(), err
}

func (f franzFollower) close() { f.client.Close() }

type librdkafkaFollower struct{ consumer *librdkafka.Consumer }

func newLibrdkafkaFollower(connection kafka.Connection, topic string) (follower, error) {
	consumer, err := connection.NewConsumer(librdkafka.ConfigMap{
		"group.id":                  "gateway-membership", // required, but no group is joined
		"enable.auto.commit":        false,
		"enable.auto.offset.store":  false,
		"auto.offset.reset":         "earliest",
		"isolation.level":           "read_uncommitted", // as franz-go: no transaction writes to the topic
		"fetch.wait.max.ms":         int(followWait.Milliseconds()),
		"fetch.max.bytes":           followBytes,
		"message.max.bytes":         followBytes, // which must not exceed fetch.max.bytes
		"max.partition.fetch.bytes": followBytes,
		"enable.metrics.push":       false,
	})
	if err != nil {
		return nil, err
	}
	at := librdkafka.TopicPartition{Topic: &topic, Offset: librdkafka.OffsetBeginning}
	if err := consumer.Assign([]librdkafka.TopicPartition{at}); err != nil {
		_ = consumer.Close()
		return nil, fmt.Errorf("read %s: %w", topic, err)
	}
	return librdkafkaFollower{consumer}, nil
}

func (f librdkafkaFollower) next(context.Context) ([]*kgo.Record, error) {
	switch ev := f.consumer.Poll(int(followPoll.Milliseconds())).(type) {
	case *librdkafka.Message:
		if ev.TopicPartition.Error != nil {
			return nil, ev.TopicPartition.Error
		}
		return []*kgo.Record{{Key: ev.Key, Value: ev.Value}}, nil
	case librdkafka.Error:
		return nil, ev
	}
	return nil, nil
}

func (f librdkafkaFollower) close() { _ = f.consumer.Close() }

// follow passes each record of the topic to visit, in order and from the beginning on,
// until ctx ends or a value comes from again: then with a new client, from the beginning.
func (s scanner) follow(ctx context.Context, topic string, logger *slog.Logger, again <-chan struct{}, visit func([]*kgo.Record), failed func(error)) {
	for ctx.Err() == nil {
		if err := s.followOnce(ctx, topic, logger, again, visit, failed); err != nil {
			failed(err)
			backoff.Sleep(ctx, followPause)
		}
	}
}

func (s scanner) followOnce(ctx context.Context, topic string, logger *slog.Logger, again <-chan struct{}, visit func([]*kgo.Record), failed func(error)) error {
	f, err := s.newFollower(topic, logger)
	if err != nil {
		return err
	}
	defer f.close()
	ctx, cancel := context.WithCancel(ctx)
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel()
	waiting.Go(func() {
		select {
		case <-again:
			cancel()
		case <-ctx.Done():
		}
	})
	for ctx.Err() == nil {
		records, err := f.next(ctx)
		if len(records) > 0 {
			visit(records)
		}
		if err != nil && ctx.Err() == nil {
			failed(err)
			backoff.Sleep(ctx, followPause)
		}
	}
	return nil
}
