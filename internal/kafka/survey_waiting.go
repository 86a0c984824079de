package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// waitingPartitions are asked for in one request, for waitingBytes of each: a usual
	// batch. What is larger is asked for again, and then comes first: brokers always send
	// the first batch of an answer whole.
	waitingPartitions = 500
	waitingBytes      = 16 << 10
	// waitingAnswer bounds one answer, and so the memory that a broker's answers take.
	waitingAnswer = 4 << 20
	// narrowBatch is how far the times of a batch's records may be apart for the first
	// one's to stand for all. Otherwise the batch is decoded.
	narrowBatch = 200 * time.Millisecond
)

// ErrBudget is the error of a position that was not read because the budget was spent.
var ErrBudget = errors.New("not read: this pass has read enough")

// Position is an offset of a partition. Its reader has nothing until then; Until is where
// read-committed readers end.
type Position struct {
	Partition
	Offset int64
	Until  int64
	Leader int32 // as Bounds tells
}

// Waiting is the first record at or after a position that a read-committed reader gets:
// no marker, and no record of an aborted transaction.
type Waiting struct {
	Offset int64 // -1: there is none before Until
	Time   time.Time
	// Clear is how far there surely is none, also where Err is not nil.
	Clear int64
	Err   error
}

// Waiting looks for the records that wait at positions, in their order, until it has read
// about budget bytes. It answers by index.
func (s *Survey) Waiting(ctx context.Context, positions []Position, budget int64) []Waiting {
	found := make([]Waiting, len(positions))
	client, err := s.connect()
	byLeader := map[int32][]int{}
	for i, p := range positions {
		found[i] = Waiting{Offset: -1, Clear: p.Offset, Err: err}
		byLeader[p.Leader] = append(byLeader[p.Leader], i)
	}
	if err != nil {
		return found
	}
	var reading sync.WaitGroup
	for leader, at := range byLeader {
		r := &waitingReader{
			broker: client.Broker(int(leader)), positions: positions, found: found, decompressor: kgo.DefaultDecompressor(),
			budget: budget / int64(len(byLeader)),
		}
		reading.Go(func() { r.run(ctx, at) })
	}
	reading.Wait()
	return found
}

// waitingReader reads from one broker. Readers write to different elements of found.
type waitingReader struct {
	broker       *kgo.Broker
	positions    []Position
	found        []Waiting
	decompressor kgo.Decompressor
	budget       int64
}

func (r *waitingReader) run(ctx context.Context, open []int) {
	for len(open) > 0 {
		if r.budget <= 0 {
			for _, i := range open {
				r.found[i].Err = ErrBudget
			}
			return
		}
		now, later := r.choose(open)
		again := r.ask(ctx, now)
		open = append(again, later...) // those that were not answered whole come first
	}
}

// choose takes positions for one request, in which each partition may be once.
func (r *waitingReader) choose(open []int) (now, later []int) {
	taken := make(map[Partition]bool, min(len(open), waitingPartitions))
	for _, i := range open {
		if p := r.positions[i].Partition; len(now) < waitingPartitions && !taken[p] {
			taken[p] = true
			now = append(now, i)
		} else {
			later = append(later, i)
		}
	}
	return now, later
}

// ask sends one request, and returns what has to be asked again.
func (r *waitingReader) ask(ctx context.Context, now []int) (again []int) {
	resp, err := r.request(now).RequestWith(ctx, r.broker)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		for _, i := range now {
			r.found[i].Err = fmt.Errorf("read what waits: %w", err)
		}
		return nil
	}
	answers := make(map[Partition]*kmsg.FetchResponseTopicPartition, len(now))
	for t := range resp.Topics {
		topic := &resp.Topics[t]
		for p := range topic.Partitions {
			part := &topic.Partitions[p]
			answers[Partition{topic.Topic, part.Partition}] = part
			r.budget -= int64(len(part.RecordBatches))
		}
	}
	r.budget -= int64(len(now)) * 64 // also an answer without records costs
	for n, i := range now {
		answer, ok := answers[r.positions[i].Partition]
		before := r.found[i].Clear
		switch {
		case !ok:
			r.found[i].Err = errNotTold
		case r.read(i, answer):
		case n == 0 && r.found[i].Clear == before: // the first one is always answered
			r.found[i].Err = errNotTold
		default:
			again = append(again, i)
		}
	}
	return again
}

func (r *waitingReader) request(now []int) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes = 0, 0 // a broker answers one request of a connection after the other
	req.MaxBytes, req.IsolationLevel = waitingAnswer, readCommitted
	req.SessionEpoch = -1 // no session
	for n, i := range now {
		p := r.positions[i]
		topic := kmsg.NewFetchRequestTopic()
		topic.Topic = p.Topic
		one := kmsg.NewFetchRequestTopicPartition()
		one.Partition, one.FetchOffset, one.PartitionMaxBytes = p.Number, r.found[i].Clear, waitingBytes
		// Neighbours of a topic share its name; the order has to stay.
		if last := len(req.Topics) - 1; n > 0 && req.Topics[last].Topic == p.Topic {
			req.Topics[last].Partitions = append(req.Topics[last].Partitions, one)
			continue
		}
		topic.Partitions = append(topic.Partitions, one)
		req.Topics = append(req.Topics, topic)
	}
	return req
}

// read looks for the record of a position in an answer. It is false if more has to be read.
func (r *waitingReader) read(i int, answer *kmsg.FetchResponseTopicPartition) bool {
	one, p := &r.found[i], r.positions[i]
	if one.Err = kerr.ErrorForCode(answer.ErrorCode); one.Err != nil {
		return true
	}
	if at, when, ok := firstOfBatch(answer, one.Clear); ok {
		one.Offset, one.Time = at, when
		return true
	}
	got, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: one.Clear, IsolationLevel: kgo.ReadCommitted(), Topic: p.Topic, Partition: p.Number,
	}, answer, r.decompressor, nil)
	if len(got.Records) > 0 {
		one.Offset, one.Time = got.Records[0].Offset, got.Records[0].Timestamp
		return true
	}
	if next == one.Clear && got.Err != nil {
		one.Err = fmt.Errorf("read what waits: %w", got.Err)
		return true
	}
	one.Clear = max(one.Clear, next)
	return one.Clear >= p.Until
}

// Places in a record batch (docs.kafka: "Record Batch"), and the bits of its attributes.
const (
	batchLength       = 8
	batchPrefix       = 12 // what the length does not count
	batchMagic        = 16
	batchAttributes   = 21
	batchLastDelta    = 23
	batchFirstTime    = 27
	batchMaxTime      = 35
	batchProducer     = 43
	batchCount        = 57
	batchHeader       = 61
	attrLogAppendTime = 1 << 3
	attrTransactional = 1 << 4
	attrControl       = 1 << 5
	attrDeleteHorizon = 1 << 6 // its first time is something else (KIP-534)
)

// firstOfBatch finds the record at an offset by the first batch's header alone, so that
// nothing has to be decompressed. It is not sure of batches that were compacted or are part
// of a transaction that may be aborted, and of times that are far apart.
func firstOfBatch(answer *kmsg.FetchResponseTopicPartition, offset int64) (at int64, when time.Time, ok bool) {
	b := answer.RecordBatches
	if len(b) < batchHeader || b[batchMagic] != 2 {
		return 0, time.Time{}, false
	}
	size := int64(int32(binary.BigEndian.Uint32(b[batchLength:]))) + batchPrefix //nolint:gosec // a signed number on the wire
	attributes := binary.BigEndian.Uint16(b[batchAttributes:])
	base, lastDelta := int64(binary.BigEndian.Uint64(b)), int64(int32(binary.BigEndian.Uint32(b[batchLastDelta:])))     //nolint:gosec // signed numbers on the wire
	first, last := int64(binary.BigEndian.Uint64(b[batchFirstTime:])), int64(binary.BigEndian.Uint64(b[batchMaxTime:])) //nolint:gosec // signed numbers on the wire
	producer := int64(binary.BigEndian.Uint64(b[batchProducer:]))                                                       //nolint:gosec // a signed number on the wire
	count := int64(binary.BigEndian.Uint32(b[batchCount:]))
	if int64(len(b)) < size || attributes&(attrControl|attrDeleteHorizon) != 0 || count != lastDelta+1 || base+lastDelta < offset {
		return 0, time.Time{}, false
	}
	if attributes&attrTransactional != 0 {
		for _, aborted := range answer.AbortedTransactions {
			if aborted.ProducerID == producer {
				return 0, time.Time{}, false
			}
		}
	}
	at = max(base, offset)
	switch {
	case attributes&attrLogAppendTime != 0:
		return at, time.UnixMilli(last), true
	case at == base, time.Duration(last-first)*time.Millisecond <= narrowBatch:
		return at, time.UnixMilli(first), true
	}
	return 0, time.Time{}, false
}
