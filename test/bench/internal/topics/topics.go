// Package topics creates the topics that a run needs and counts their records. It
// deletes only topics that it created.
package topics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// callTimeout is long enough for 200 topics of 12 partitions on a busy machine.
	callTimeout = time.Minute
	// touchTimeout is for the first record of each of them, three replicas and a slow disk.
	touchTimeout = 5 * time.Minute
)

// Admin owns one Kafka client. It is not safe for concurrent use.
type Admin struct {
	client      *kgo.Client
	admin       *kadm.Client
	partitions  int
	replication int16
	created     []string
}

// New connects lazily: a wrong address shows at the first call. Topics that it creates
// get that many partitions, each with that many replicas.
func New(brokers []string, partitions int, replication int16) (*Admin, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return nil, fmt.Errorf("create Kafka client: %w", err)
	}
	return &Admin{client: client, admin: kadm.NewClient(client), partitions: partitions, replication: replication}, nil
}

// Ensure creates those of the topics that do not exist. A topic with another number of
// partitions is an error: a comparison with it would not be fair.
func (a *Admin) Ensure(ctx context.Context, topics ...string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	// Long runs write gigabytes: let the broker drop old segments.
	retention, segment := "33554432", "16777216"
	configs := map[string]*string{"retention.bytes": &retention, "segment.bytes": &segment}
	created, err := a.admin.CreateTopics(ctx, int32(a.partitions), a.replication, configs, topics...)
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	for _, c := range created.Sorted() {
		switch {
		case c.Err == nil:
			a.created = append(a.created, c.Topic)
		case !errors.Is(c.Err, kerr.TopicAlreadyExists):
			return fmt.Errorf("create topic %s: %w", c.Topic, c.Err)
		}
	}
	details, err := a.awaitLeaders(ctx, topics)
	if err != nil {
		return err
	}
	for _, d := range details.Sorted() {
		if got := len(d.Partitions); got != a.partitions {
			return fmt.Errorf("topic %s exists with %d partitions, not %d: delete it, or give --partitions %d", d.Topic, got, a.partitions, got)
		}
	}
	return nil
}

// Touch writes a record to each partition of the topics: a broker makes files for the first
// record of a partition, and waits for the disk, which a measurement should not.
func (a *Admin) Touch(ctx context.Context, topics ...string) error {
	ctx, cancel := context.WithTimeout(ctx, touchTimeout)
	defer cancel()
	var records []*kgo.Record
	for _, topic := range topics {
		for p := range a.partitions {
			records = append(records, &kgo.Record{Topic: topic, Partition: int32(p), Value: []byte("first")})
		}
	}
	if err := a.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("write first records: %w", err)
	}
	return nil
}

// awaitLeaders polls, because a new topic takes a moment to get its leaders.
func (a *Admin) awaitLeaders(ctx context.Context, topics []string) (kadm.TopicDetails, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		details, err := a.admin.ListTopics(ctx, topics...)
		if err != nil {
			return nil, fmt.Errorf("describe topics: %w", err)
		}
		if len(details) == len(topics) && allLed(details) {
			// Metadata name a leader before it knows that it is one.
			if offsets, err := a.admin.ListEndOffsets(ctx, topics...); err == nil && offsets.Error() == nil {
				return details, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for leaders of %d topics: %w", len(topics), ctx.Err())
		}
	}
}

func allLed(topics kadm.TopicDetails) bool {
	for _, d := range topics {
		if d.Err != nil || len(d.Partitions) == 0 {
			return false
		}
		for _, p := range d.Partitions {
			if p.Err != nil || p.Leader < 0 {
				return false
			}
		}
	}
	return true
}

// End is the sum of the end offsets of all partitions of the topics: its growth is the
// number of records written, unless transactions add markers.
func (a *Admin) End(ctx context.Context, topics ...string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	offsets, err := a.admin.ListEndOffsets(ctx, topics...)
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("list end offsets: %w", err)
	}
	var sum int64
	offsets.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	return sum, nil
}

// Close deletes the topics that Ensure created, also when ctx is done already.
func (a *Admin) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	defer a.client.Close()
	deleted, err := a.admin.DeleteTopics(ctx, a.created...)
	if err == nil {
		err = deleted.Error()
	}
	if err != nil {
		return fmt.Errorf("delete topics: %w", err)
	}
	a.created = nil
	return nil
}
