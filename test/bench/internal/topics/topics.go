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
	replication = 1
	callTimeout = 30 * time.Second
)

// Admin owns one Kafka client. It is not safe for concurrent use.
type Admin struct {
	client     *kgo.Client
	admin      *kadm.Client
	partitions int
	created    []string
}

// New connects lazily: a wrong address shows at the first call. Topics that it creates
// get that many partitions.
func New(brokers []string, partitions int) (*Admin, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return nil, fmt.Errorf("create Kafka client: %w", err)
	}
	return &Admin{client: client, admin: kadm.NewClient(client), partitions: partitions}, nil
}

// Ensure creates the topic unless it exists. A topic with another number of
// partitions is an error: a comparison with it would not be fair.
func (a *Admin) Ensure(ctx context.Context, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	// Long runs write gigabytes: let the broker drop old segments.
	retention, segment := "134217728", "33554432"
	configs := map[string]*string{"retention.bytes": &retention, "segment.bytes": &segment}
	created, err := a.admin.CreateTopic(ctx, int32(a.partitions), replication, configs, topic)
	if err == nil {
		err = created.Err
	}
	switch {
	case err == nil:
		a.created = append(a.created, topic)
	case !errors.Is(err, kerr.TopicAlreadyExists):
		return fmt.Errorf("create topic %s: %w", topic, err)
	}
	got, err := a.awaitPartitions(ctx, topic)
	if err == nil && got != a.partitions {
		err = fmt.Errorf("topic %s exists with %d partitions, not %d: delete it, or give --partitions %d", topic, got, a.partitions, got)
	}
	return err
}

// awaitPartitions polls, because a new topic takes a moment to get its leaders.
func (a *Admin) awaitPartitions(ctx context.Context, topic string) (int, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		details, err := a.admin.ListTopics(ctx, topic)
		if err != nil {
			return 0, fmt.Errorf("describe topic %s: %w", topic, err)
		}
		if d := details[topic]; d.Err == nil && len(d.Partitions) > 0 && allLed(d.Partitions) {
			return len(d.Partitions), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for leaders of topic %s: %w", topic, ctx.Err())
		}
	}
}

func allLed(partitions kadm.PartitionDetails) bool {
	for _, p := range partitions {
		if p.Err != nil || p.Leader < 0 {
			return false
		}
	}
	return true
}

// End is the sum of the end offsets of all partitions: its growth is the number
// of records written, unless transactions add markers.
func (a *Admin) End(ctx context.Context, topic string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	offsets, err := a.admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("list end offsets of topic %s: %w", topic, err)
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
	var errs []error
	for _, topic := range a.created {
		deleted, err := a.admin.DeleteTopic(ctx, topic)
		if err == nil {
			err = deleted.Err
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("delete topic %s: %w", topic, err))
		}
	}
	a.created = nil
	return errors.Join(errs...)
}
