package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"eventgateway/internal/kafka"
)

const (
	// fetchVersion is the newest in which topics have names, and not ids.
	fetchVersion = 12
	// fetchBytes is asked for at a time: one answer per reader is in memory, and a
	// broker some milliseconds away still keeps a core busy.
	fetchBytes = 2 << 20
	// fetchTimeout bounds one question. A broker answers at once, also with nothing.
	fetchTimeout = 10 * time.Second
)

// franzFetcher reads spans with single fetch requests, and not with franz-go's consumer,
// which does not tell where it is between two records, nor what it waits for. It is a
// spanReader for many goroutines. It connects when something is to be read.
type franzFetcher struct {
	opts         []kgo.Opt
	decompressor kgo.Decompressor

	mu      sync.Mutex
	client  *kgo.Client // nil until the first question
	bytes   int32       // of one fetch
	closed  bool
	leaders map[kafka.Partition]int32
}

func newFranzFetcher(connection []kgo.Opt, logger kgo.Logger) *franzFetcher {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.Fetch), fetchVersion)
	versions.SetMaxKeyVersion(int16(kmsg.Metadata), metadataVersion)
	return &franzFetcher{
		opts:         append(connection[:len(connection):len(connection)], kgo.MaxVersions(versions), kgo.WithLogger(logger)),
		decompressor: kgo.DefaultDecompressor(), bytes: fetchBytes, leaders: map[kafka.Partition]int32{},
	}
}

func (f *franzFetcher) connect() (*kgo.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, errClosed
	case f.client != nil:
		return f.client, nil
	}
	client, err := kgo.NewClient(f.opts...)
	if err != nil {
		return nil, fmt.Errorf("create kafka reader: %w", err)
	}
	if most, ok := client.OptValue(kgo.BrokerMaxReadBytes).(int32); ok {
		f.bytes = min(f.bytes, most/2) // receive.message.max.bytes of the operator
	}
	f.client = client
	return client, nil
}

// close ends what one goroutine did. The client is shared, and ended by end.
func (f *franzFetcher) close() {}

func (f *franzFetcher) end() {
	f.mu.Lock()
	client := f.client
	f.client, f.closed = nil, true
	f.mu.Unlock()
	if client != nil {
		client.Close()
	}
}

func (f *franzFetcher) read(ctx context.Context, s span, visit func(*logRecord) error) (next int64, err error) {
	record := logRecord{Partition: s.Partition}
	for next = s.from; next < s.to; {
		answer, err := f.fetch(ctx, s.Partition, next)
		if err != nil {
			return next, err
		}
		got, after := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
			Offset: next, IsolationLevel: kgo.ReadCommitted(), Topic: s.Topic, Partition: s.Number,
		}, answer, f.decompressor, nil)
		for _, r := range got.Records {
			if r.Offset >= s.to {
				break
			}
			record.offset, record.timestamp, record.stamped = r.Offset, r.Timestamp, r.Attrs.TimestampType() == 1
			record.key, record.value, record.headers = r.Key, r.Value, r.Headers
			if err := visit(&record); err != nil {
				return r.Offset, err
			}
		}
		switch {
		case after > next:
			next = after
		case got.Err != nil:
			return next, fmt.Errorf("read back from kafka: %s at %d: %w", s.Partition, next, got.Err)
		case got.LastStableOffset <= next:
			return next, &heldUp{part: s.Partition, cause: openTransaction(next)}
		default:
			return next, &heldUp{part: s.Partition, cause: "kafka sends nothing"}
		}
	}
	return next, nil
}

// fetch asks the partition's leader for records from an offset on.
func (f *franzFetcher) fetch(ctx context.Context, part kafka.Partition, offset int64) (*kmsg.FetchResponseTopicPartition, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read back from kafka: %w", err)
	}
	client, err := f.connect()
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	leader, err := f.leader(limited, client, part)
	if err != nil {
		return nil, f.failed(ctx, part, err)
	}
	resp, err := f.request(part, offset).RequestWith(limited, client.Broker(int(leader)))
	if err != nil {
		f.forget(part)
		return nil, f.failed(ctx, part, fmt.Errorf("broker %d: %w", leader, err))
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, f.failed(ctx, part, err)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, &heldUp{part: part, cause: "kafka did not answer for it"}
	}
	answer := &resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		f.forget(part)
		if errors.Is(err, kerr.OffsetOutOfRange) {
			return nil, fmt.Errorf("read back from kafka: %s at %d: %w: %w", part, offset, errTruncated, err)
		}
		return nil, f.failed(ctx, part, err)
	}
	return answer, nil
}

func (f *franzFetcher) request(part kafka.Partition, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	// A broker answers the requests of a connection one after the other: none waits there
	// for records to come.
	req.MaxWaitMillis, req.MinBytes = 0, 0
	req.MaxBytes, req.IsolationLevel = f.bytes, 1
	req.SessionEpoch = -1 // no session
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = part.Topic
	one := kmsg.NewFetchRequestTopicPartition()
	one.Partition, one.FetchOffset, one.PartitionMaxBytes = part.Number, offset, f.bytes
	topic.Partitions = append(topic.Partitions, one)
	req.Topics = append(req.Topics, topic)
	return req
}

// failed is the error of a partition that cannot be read: for good only by reader's ctx.
func (f *franzFetcher) failed(ctx context.Context, part kafka.Partition, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("read back from kafka: %s: %w", part, ended)
	}
	return &heldUp{part, err.Error(), err}
}

func (f *franzFetcher) forget(part kafka.Partition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.leaders, part)
}

var errNoLeader = errors.New("no leader")

// leader is the broker that leads the partition.
func (f *franzFetcher) leader(ctx context.Context, client *kgo.Client, part kafka.Partition) (int32, error) {
	f.mu.Lock()
	known, ok := f.leaders[part]
	f.mu.Unlock()
	if ok {
		return known, nil
	}
	resp, err := metadataRequest(part.Topic).RequestWith(ctx, client)
	if err != nil {
		return 0, fmt.Errorf("ask for its leader: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range resp.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return 0, err
		}
		for _, p := range t.Partitions {
			if p.Leader >= 0 && t.Topic != nil {
				f.leaders[kafka.Partition{Topic: *t.Topic, Number: p.Partition}] = p.Leader
			}
		}
	}
	if leader, ok := f.leaders[part]; ok {
		return leader, nil
	}
	return 0, errNoLeader
}

// knownAnywhere asks each broker whether it knows a topic. The error is of a broker that
// did not answer, if none of the others knows the topic.
func (f *franzFetcher) knownAnywhere(ctx context.Context, name string) (bool, error) {
	client, err := f.connect()
	if err != nil {
		return false, err
	}
	brokers, err := metadataRequest(name).RequestWith(ctx, client)
	if err != nil {
		return false, err
	}
	var silent error
	for _, b := range brokers.Brokers {
		resp, err := metadataRequest(name).RequestWith(ctx, client.Broker(int(b.NodeID)))
		if err != nil || len(resp.Topics) != 1 {
			silent = fmt.Errorf("broker %d: %w", b.NodeID, cmp.Or(err, errNotAnswered))
			continue
		}
		switch err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); {
		case err == nil:
			return true, nil
		case !errors.Is(err, kerr.UnknownTopicOrPartition):
			silent = fmt.Errorf("broker %d: %w", b.NodeID, err)
		}
	}
	return false, silent
}

var errNotAnswered = errors.New("no answer")

func metadataRequest(topicName string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(topicName)
	req.Topics = append(req.Topics, topic)
	return req
}
