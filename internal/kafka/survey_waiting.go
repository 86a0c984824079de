package kafka

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
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

// openPartition has the positions of one partition that are not found yet, by their index
// and ordered by offset: what is read for the first one often answers others.
type openPartition struct {
	Partition
	at []int
}

func (r *waitingReader) run(ctx context.Context, at []int) {
	open := r.group(at)
	for len(open) > 0 {
		if r.budget <= 0 {
			for _, p := range open {
				for _, i := range p.at {
					r.found[i].Err = ErrBudget
				}
			}
			return
		}
		now := open[:min(len(open), waitingPartitions)]
		again := r.ask(ctx, now)
		open = append(again, open[len(now):]...) // those that were not answered come first
	}
}

// group sorts positions into partitions, in the order of each one's first position.
func (r *waitingReader) group(at []int) (open []*openPartition) {
	known := map[Partition]*openPartition{}
	for _, i := range at {
		p := known[r.positions[i].Partition]
		if p == nil {
			p = &openPartition{Partition: r.positions[i].Partition}
			known[p.Partition] = p
			open = append(open, p)
		}
		p.at = append(p.at, i)
	}
	for _, p := range open {
		slices.SortFunc(p.at, func(a, b int) int { return cmp.Compare(r.found[a].Clear, r.found[b].Clear) })
	}
	return open
}

// ask sends one request, and returns the partitions that have to be asked again.
func (r *waitingReader) ask(ctx context.Context, now []*openPartition) (again []*openPartition) {
	resp, err := r.request(now).RequestWith(ctx, r.broker)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		for _, p := range now {
			r.fail(p, err)
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
	for n, p := range now {
		answer, ok := answers[p.Partition]
		if !ok {
			r.fail(p, errNotTold)
			continue
		}
		if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
			r.fail(p, err)
			continue
		}
		if progress := r.read(p, answer); !progress && n == 0 { // the first one is always answered
			r.found[p.at[0]].Err = errNotTold
			p.at = p.at[1:]
		}
		if len(p.at) > 0 {
			again = append(again, p)
		}
	}
	return again
}

func (r *waitingReader) fail(p *openPartition, err error) {
	for _, i := range p.at {
		r.found[i].Err = fmt.Errorf("read what waits: %w", err)
	}
}

func (r *waitingReader) request(now []*openPartition) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes = 0, 0 // a broker answers one request of a connection after the other
	req.MaxBytes, req.IsolationLevel = waitingAnswer, readCommitted
	req.SessionEpoch = -1 // no session
	for n, p := range now {
		one := kmsg.NewFetchRequestTopicPartition()
		one.Partition, one.FetchOffset, one.PartitionMaxBytes = p.Number, r.found[p.at[0]].Clear, waitingBytes
		// Neighbours of a topic share its name; the order has to stay.
		if last := len(req.Topics) - 1; n > 0 && req.Topics[last].Topic == p.Topic {
			req.Topics[last].Partitions = append(req.Topics[last].Partitions, one)
			continue
		}
		topic := kmsg.NewFetchRequestTopic()
		topic.Topic = p.Topic
		topic.Partitions = append(topic.Partitions, one)
		req.Topics = append(req.Topics, topic)
	}
	return req
}

// read finds what an answer tells about the positions of a partition, and keeps the others
// open. It reports whether the answer told anything.
func (r *waitingReader) read(p *openPartition, answer *kmsg.FetchResponseTopicPartition) (progress bool) {
	from, before := r.found[p.at[0]].Clear, len(p.at)
	rest := answer.RecordBatches
	for len(p.at) > 0 {
		b, ok := readBatch(rest)
		if !ok || !b.plain(answer) {
			break
		}
		for len(p.at) > 0 && r.found[p.at[0]].Clear <= b.last {
			one := &r.found[p.at[0]]
			at := max(b.base, one.Clear)
			when, sure := b.timeOf(at)
			if !sure {
				break
			}
			one.Offset, one.Time = at, when
			p.at = p.at[1:]
		}
		if len(p.at) > 0 && r.found[p.at[0]].Clear <= b.last {
			break
		}
		rest = rest[b.size:]
	}
	if len(p.at) == 0 {
		return true
	}
	if len(rest) < batchHeader { // all of it was read
		return len(p.at) < before
	}
	return r.decode(p, answer, from) || len(p.at) < before
}

// decode is read for batches whose headers do not tell enough.
func (r *waitingReader) decode(p *openPartition, answer *kmsg.FetchResponseTopicPartition, from int64) (progress bool) {
	got, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: from, IsolationLevel: kgo.ReadCommitted(), Topic: p.Topic, Partition: p.Number,
	}, answer, r.decompressor, nil)
	if next == from && got.Err != nil {
		r.fail(p, got.Err)
		p.at = nil
		return true
	}
	var still []int
	for _, i := range p.at {
		one := &r.found[i]
		n, _ := slices.BinarySearchFunc(got.Records, one.Clear, func(rec *kgo.Record, at int64) int { return cmp.Compare(rec.Offset, at) })
		switch {
		case one.Clear < next && n < len(got.Records):
			one.Offset, one.Time = got.Records[n].Offset, got.Records[n].Timestamp
			continue
		case one.Clear < next:
			one.Clear, progress = next, true
		}
		if one.Clear < r.positions[i].Until {
			still = append(still, i)
		}
	}
	progress = progress || len(still) < len(p.at)
	p.at = still
	return progress
}

// Places in a record batch (Kafka's message format, version 2), and bits of its attributes.
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

// batch is what the header of a record batch says.
type batch struct {
	base, last        int64 // offsets
	firstTime, newest int64 // ms
	producer          int64
	attributes        uint16
	dense             bool // no record was removed from it by compaction
	size              int
}

// readBatch reads the header of a batch that is there as a whole.
func readBatch(b []byte) (batch, bool) {
	if len(b) < batchHeader || b[batchMagic] != 2 {
		return batch{}, false
	}
	number := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }       //nolint:gosec // signed on the wire
	short := func(at int) int64 { return int64(int32(binary.BigEndian.Uint32(b[at:]))) } //nolint:gosec // signed on the wire
	delta, size := short(batchLastDelta), short(batchLength)+batchPrefix
	if size < batchHeader || size > int64(len(b)) {
		return batch{}, false
	}
	return batch{
		base: number(0), last: number(0) + delta, firstTime: number(batchFirstTime), newest: number(batchMaxTime), producer: number(batchProducer),
		attributes: binary.BigEndian.Uint16(b[batchAttributes:]), dense: short(batchCount) == delta+1, size: int(size),
	}, true
}

// plain reports whether all of its offsets surely are records that a read-committed reader
// gets: they are no markers, were not compacted, and not aborted.
func (b batch) plain(answer *kmsg.FetchResponseTopicPartition) bool {
	if !b.dense || b.attributes&(attrControl|attrDeleteHorizon) != 0 {
		return false
	}
	if b.attributes&attrTransactional != 0 {
		for _, aborted := range answer.AbortedTransactions {
			if aborted.ProducerID == b.producer {
				return false
			}
		}
	}
	return true
}

// timeOf is the time of a record, by the header alone, so that nothing has to be
// decompressed. It is not sure if the times of the records are far apart.
func (b batch) timeOf(offset int64) (time.Time, bool) {
	switch {
	case b.attributes&attrLogAppendTime != 0:
		return time.UnixMilli(b.newest), true
	case offset == b.base, time.Duration(b.newest-b.firstTime)*time.Millisecond <= narrowBatch:
		return time.UnixMilli(b.firstTime), true
	}
	return time.Time{}, false
}
