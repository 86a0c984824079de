//go:build integration

package e2e

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/test/services"
)

// newTopic creates a topic for one test on the shared broker.
func newTopic(t *testing.T) string {
	t.Helper()
	name := newTopicName(t)
	createTopic(t, services.Shared(t).Kafka, name, 6)
	return name
}

// newTopicName only chooses the name. The topic, if something creates it, is removed
// from the shared broker when the test ends.
func newTopicName(t *testing.T) string {
	t.Helper()
	name := unique("e2e")
	t.Cleanup(func() {
		admin := kafkaAdmin(t, services.Shared(t).Kafka)
		ctx, cancel := context.WithTimeout(context.Background(), patient)
		defer cancel()
		_, _ = admin.DeleteTopics(ctx, name) // not there is fine too
	})
	return name
}

func kafkaAdmin(t *testing.T, broker string) *kadm.Client {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker))
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return kadm.NewClient(cl)
}

func createTopic(t *testing.T, broker, topic string, partitions int32) {
	t.Helper()
	createTopics(t, broker, partitions, topic)
}

func createTopics(t *testing.T, broker string, partitions int32, topics ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	admin := kafkaAdmin(t, broker)
	created, err := admin.CreateTopics(ctx, partitions, 1, nil, topics...)
	require.NoError(t, err)
	require.NoError(t, created.Error())
	// The controller answers before every broker knows the topics.
	eventually(t, patient, "topics have leaders", func() error {
		ends, err := admin.ListEndOffsets(ctx, topics...)
		if err == nil {
			err = ends.Error()
		}
		return err
	})
}

// position is where a record is.
type position struct {
	partition int32
	offset    int64
}

// topicLog is a topic, read from its beginning to its end.
type topicLog struct {
	partitions int
	records    []*kgo.Record // in the order of each partition
	at         map[position]*kgo.Record
	byClaim    map[string][]*kgo.Record // "": records without gw_claim
}

// readTopic reads all current records of a topic; a missing topic is empty.
func readTopic(t *testing.T, broker, topic string) *topicLog {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	log := &topicLog{at: map[position]*kgo.Record{}, byClaim: map[string][]*kgo.Record{}}
	ends, err := kafkaAdmin(t, broker).ListEndOffsets(ctx, topic)
	require.NoError(t, err)
	starts, left := map[int32]kgo.Offset{}, map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Err == nil {
			log.partitions++
			if o.Offset > 0 {
				starts[o.Partition] = kgo.NewOffset().At(0)
				left[o.Partition] = o.Offset
			}
		}
	})
	if len(left) == 0 {
		return log
	}
	// The markers of transactions are the last records of their partitions.
	consumer, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	require.NoError(t, err)
	defer consumer.Close()
	for len(left) > 0 {
		require.NoError(t, ctx.Err(), "records of %s are still to come: %v", topic, left)
		log.add(t, consumer.PollFetches(ctx), left)
	}
	return log
}

// add adds the fetched records, and removes partitions that are read to their end.
func (l *topicLog) add(t *testing.T, fetches kgo.Fetches, left map[int32]int64) {
	t.Helper()
	require.NoError(t, fetches.Err0())
	fetches.EachRecord(func(r *kgo.Record) {
		if r.Offset+1 >= left[r.Partition] {
			delete(left, r.Partition)
		}
		if r.Attrs.IsControl() {
			return
		}
		l.records = append(l.records, r)
		l.at[position{r.Partition, r.Offset}] = r
		claim := header(r, "gw_claim")
		l.byClaim[claim] = append(l.byClaim[claim], r)
	})
}

// holds returns the record that a receipt names, or the reason why it is missing.
func (l *topicLog) holds(r receipt, orderID string, body []byte) (*kgo.Record, error) {
	rec := l.at[position{r.Partition, r.Offset}]
	switch {
	case rec == nil:
		return nil, fmt.Errorf("nothing in partition %d at offset %d", r.Partition, r.Offset)
	case string(rec.Key) != orderID:
		return nil, fmt.Errorf("record at %d/%d has key %q, not %q", r.Partition, r.Offset, rec.Key, orderID)
	case string(rec.Value) != string(body):
		return nil, fmt.Errorf("record at %d/%d has value %q, not %q", r.Partition, r.Offset, rec.Value, body)
	}
	return rec, nil
}

func header(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// requireCount is require.Len without printing thousands of records.
func requireCount(t *testing.T, records []*kgo.Record, want int, msgAndArgs ...any) {
	t.Helper()
	require.Equal(t, want, len(records), msgAndArgs...) //nolint:testifylint // see above
}
