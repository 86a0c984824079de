package torture

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
)

// isolation is what a consumer of the run's guarantee reads.
func (o *Options) isolation() kgo.IsolationLevel {
	if o.Guarantee == transactional {
		return kgo.ReadCommitted()
	}
	return kgo.ReadUncommitted()
}

// settleLimit is how long transactions that a killed gateway left open may keep
// the log's end from being stable.
const settleLimit = 90 * time.Second

// readLog reads the topic from its beginning to its high watermark. A
// transaction that is still open has to end first.
//
// It reads with franz-go, not with the driver that the gateway uses, so that an error
// in one does not hide an error in the other.
func readLog(ctx context.Context, o *Options, brokers, topic string) (log []Record, err error) {
	err = readRecords(ctx, o, brokers, topic, func(r *kgo.Record) { log = append(log, recordOf(r)) })
	return log, err
}

// readRecords is readLog for records as they are.
func readRecords(ctx context.Context, o *Options, brokers, topic string, each func(*kgo.Record)) error {
	admin, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...))
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	defer admin.Close()
	ends, err := stableEnds(ctx, kadm.NewClient(admin), topic)
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	starts := map[int32]kgo.Offset{}
	for partition, end := range ends {
		if end == 0 {
			delete(ends, partition)
			continue
		}
		starts[partition] = kgo.NewOffset().At(0)
	}
	if len(ends) == 0 {
		return nil
	}
	consumer, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.FetchIsolationLevel(o.isolation()),
		// The last record of a log is either an event or the marker of a transaction's
		// end: with markers included, the end is always seen.
		kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}))
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	defer consumer.Close()
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	for len(ends) > 0 {
		fetches := consumer.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read log: the ends of partitions %v do not come: %w", ends, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if end, ok := ends[r.Partition]; ok && r.Offset >= end-1 {
				delete(ends, r.Partition)
			}
			if !r.Attrs.IsControl() {
				each(r)
			}
		})
	}
	return nil
}

// stableEnds returns the high watermarks once nothing below them is undecided.
func stableEnds(ctx context.Context, admin *kadm.Client, topic string) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	for {
		ends, err := admin.ListEndOffsets(ctx, topic)
		if err == nil {
			err = ends.Error()
		}
		stable, serr := admin.ListCommittedOffsets(ctx, topic)
		if serr == nil {
			serr = stable.Error()
		}
		if err = errors.Join(err, serr); err == nil {
			found := map[int32]int64{}
			ends.Each(func(o kadm.ListedOffset) {
				found[o.Partition] = o.Offset
				if s, _ := stable.Lookup(topic, o.Partition); s.Offset < o.Offset {
					err = fmt.Errorf("partition %d is stable up to %d of %d", o.Partition, s.Offset, o.Offset)
				}
			})
			if err == nil {
				return found, nil
			}
		}
		if !backoff.Sleep(ctx, 200*time.Millisecond) {
			return nil, fmt.Errorf("wait for the log to be stable: %w", err)
		}
	}
}

func recordOf(r *kgo.Record) Record {
	rec := Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		Key: string(r.Key), Value: shorten(string(r.Value)), Time: r.Timestamp.UnixMilli(),
	}
	for _, h := range r.Headers {
		switch h.Key {
		case "gw_claim":
			rec.Claim = string(h.Value)
		case "ce_id":
			rec.ID = string(h.Value)
		case "gw_problem":
			rec.Problem = string(h.Value)
		case "ce_attempt":
			rec.Attempt, _ = strconv.Atoi(string(h.Value)) // 0 is no attempt's number
		}
	}
	return rec
}

// seq is the number in the event's data; 0 if there is none.
func (r *Record) seq() int {
	_, rest, _ := strings.Cut(r.Value, `"seq":`)
	n, _ := strconv.Atoi(rest[:max(strings.IndexAny(rest, ",}"), 0)])
	return n
}

// tail watches the log during the run. What it finds can only end the run early; the
// checker decides about violations.
type tail struct {
	records, duplicates atomic.Int64
	done                chan struct{}
}

// startTail reads until ctx ends; found is called at each duplicate, and at each
// event that is behind a later one of its entity.
func startTail(ctx context.Context, o *Options, brokers string, found func()) (*tail, error) {
	consumer, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.FetchIsolationLevel(o.isolation()),
		kgo.ConsumeTopics(topicNames()...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMinAge(500*time.Millisecond), kgo.MetadataMaxAge(2*time.Second)) // partitions are added
	if err != nil {
		return nil, fmt.Errorf("watch log: %w", err)
	}
	t := &tail{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		defer consumer.Close()
		seen := map[string]bool{}
		type place struct {
			topic, entity string
			partition     int32
		}
		last := map[place]int{}
		for ctx.Err() == nil {
			consumer.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				rec := recordOf(r)
				t.records.Add(1)
				if seen[rec.Claim] {
					t.duplicates.Add(1)
					found()
				}
				seen[rec.Claim] = true
				at := place{rec.Topic, rec.Key, rec.Partition}
				if seq := rec.seq(); rec.Key != "" && seq < last[at] && !strings.HasPrefix(rec.Key, crossedPrefix) {
					found()
				} else {
					last[at] = seq
				}
			})
		}
	}()
	return t, nil
}
