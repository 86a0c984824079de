package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Bounds are where the log of a partition begins and ends.
type Bounds struct {
	Start  int64 // the first offset that Kafka still has
	Stable int64 // where read-committed readers end (last stable offset)
	End    int64 // where all others end (high watermark)
	Leader int32
	Err    error // why Kafka does not tell
}

// Timestamps that ListOffsets takes for "the first" and "the next" offset.
const (
	timestampLatest   = -1
	timestampEarliest = -2
)

const (
	readUncommitted = 0
	readCommitted   = 1
)

// Bounds asks where partitions begin and end: three requests to each broker.
func (s *Survey) Bounds(ctx context.Context, partitions []Partition) map[Partition]Bounds {
	found := make(map[Partition]Bounds, len(partitions))
	client, err := s.connect()
	if err != nil {
		for _, p := range partitions {
			found[p] = Bounds{Err: err}
		}
		return found
	}
	if len(partitions) == 0 {
		return found
	}
	questions := []struct {
		timestamp int64
		isolation int8
		set       func(*Bounds, int64)
	}{
		{timestampEarliest, readUncommitted, func(b *Bounds, at int64) { b.Start = at }},
		{timestampLatest, readCommitted, func(b *Bounds, at int64) { b.Stable = at }},
		{timestampLatest, readUncommitted, func(b *Bounds, at int64) { b.End = at }},
	}
	shards := make([][]kgo.ResponseShard, len(questions))
	var asking sync.WaitGroup
	for i, q := range questions {
		asking.Go(func() { shards[i] = client.RequestSharded(ctx, listOffsets(partitions, q.timestamp, q.isolation)) })
	}
	asking.Wait()
	answers := make(map[Partition]int, len(partitions))
	for i, q := range questions {
		for _, shard := range shards[i] {
			eachListed(shard, func(p Partition, at int64, err error) {
				b := found[p]
				if err != nil {
					b.Err = err
				} else {
					b.Leader = shard.Meta.NodeID
					q.set(&b, at)
					answers[p]++
				}
				found[p] = b
			})
		}
	}
	for _, p := range partitions {
		if b := found[p]; b.Err == nil && answers[p] < len(questions) {
			b.Err = errNotTold
			found[p] = b
		}
	}
	return found
}

func listOffsets(partitions []Partition, timestamp int64, isolation int8) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, isolation
	at := map[string]int{}
	for _, p := range partitions {
		i, ok := at[p.Topic]
		if !ok {
			topic := kmsg.NewListOffsetsRequestTopic()
			topic.Topic = p.Topic
			i = len(req.Topics)
			at[p.Topic] = i
			req.Topics = append(req.Topics, topic)
		}
		one := kmsg.NewListOffsetsRequestTopicPartition()
		one.Partition, one.Timestamp = p.Number, timestamp
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, one)
	}
	return req
}

// eachListed goes through the partitions of an answer, or of a question that has none.
func eachListed(shard kgo.ResponseShard, visit func(p Partition, at int64, err error)) {
	if resp, ok := shard.Resp.(*kmsg.ListOffsetsResponse); ok && shard.Err == nil {
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				err := kerr.ErrorForCode(p.ErrorCode)
				if err == nil && p.Offset < 0 {
					err = errNotTold
				}
				visit(Partition{t.Topic, p.Partition}, p.Offset, err)
			}
		}
		return
	}
	if req, ok := shard.Req.(*kmsg.ListOffsetsRequest); ok {
		err := shard.Err
		if !errors.Is(err, kerr.UnknownTopicOrPartition) {
			err = fmt.Errorf("ask where it begins and ends: %w", err)
		}
		for _, t := range req.Topics {
			for _, p := range t.Partitions {
				visit(Partition{t.Topic, p.Partition}, 0, err)
			}
		}
	}
}

// Retention is how long Kafka keeps records of the topics; a topic that keeps all is left
// out.
func (s *Survey) Retention(ctx context.Context, topics []string) (map[string]time.Duration, error) {
	client, err := s.connect()
	if err != nil {
		return nil, err
	}
	return retention(ctx, kadm.NewClient(client), topics)
}
