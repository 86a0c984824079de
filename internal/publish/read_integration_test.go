//go:build integration

package publish

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
	"eventgateway/test/services"
)

// Both readers see the same on a real broker: what was committed, and nothing of aborted
// transactions, which leave gaps and markers, up to an end that is such a marker.
func TestReadersSeeTheSame(t *testing.T) {
	t.Parallel()
	brokers := []string{services.Shared(t).Kafka}
	topic := realTopic(t, brokers, 1)
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.TransactionalID(uuid.NewString()), kgo.DefaultProduceTopic(topic))
	require.NoError(t, err)
	defer cl.Close()
	var want []string
	for i := range 6 {
		require.NoError(t, cl.BeginTransaction())
		for n := range 3 {
			value := fmt.Sprintf("%d.%d", i, n)
			require.NoError(t, cl.ProduceSync(t.Context(), kgo.StringRecord(value)).FirstErr())
			if i%2 == 0 {
				want = append(want, value)
			}
		}
		require.NoError(t, cl.EndTransaction(t.Context(), kgo.TransactionEndTry(i%2 == 0)))
	}
	forClients(t, func(t *testing.T, with option) {
		r := start(t, brokers, []string{topic}, with)
		r.place(t, topic, nil)
		spans, err := r.scan.spans(t.Context(), []kafka.Partition{{Topic: topic}}, time.UnixMilli(0))
		require.NoError(t, err)
		require.EqualValues(t, 24, spans[0].to, "18 records and 6 markers")
		var got []string
		require.NoError(t, r.scan.read(t.Context(), spans, func(m *logRecord) error {
			got = append(got, string(m.value))
			require.False(t, m.stamped)
			return nil
		}))
		require.Equal(t, want, got)
	})
}

// A late retry reads little of the partition, however long it has grown since.
func TestOldClaimOnKafka(t *testing.T) {
	t.Parallel()
	const records = 50_000
	brokers := []string{services.Shared(t).Kafka}
	then := time.Now().Add(-12 * time.Hour)
	topic := pastTopic(t, brokers, 1, records, then)
	forClients(t, func(t *testing.T, with option) {
		r := start(t, brokers, []string{topic}, with)
		r.place(t, topic, nil)
		claim := event.AbandonedClaim{
			Owner: idempotentPrefix + "gone", Topic: topic, Partitions: []int32{0},
			From: then.Add(time.Hour), LeaseEnded: then.Add(time.Hour + 30*time.Second),
		}
		_, found, err := r.Find(t.Context(), claimOf(1), claim)
		require.NoError(t, err)
		require.False(t, found)
		// Twelve hours have 50,000 records, so the 100 s that are read have about 116.
		known, ok := r.memory.recall(newSearch(claimOf(1), claim, false), kafka.Partition{Topic: topic})
		require.True(t, ok)
		require.InDelta(t, records/12+records*90/(12*3600), known.next, 20)
	})
}

// The controller knows which topics there are.
func TestControllerKnowsTopics(t *testing.T) {
	t.Parallel()
	brokers := []string{services.Shared(t).Kafka}
	topic := realTopic(t, brokers, 1)
	r := start(t, brokers, []string{topic})
	r.place(t, topic, nil)
	require.ErrorIs(t, r.confirmMissing(t.Context(), topic), errTopicLags)
	missing := "missing-" + uuid.NewString()
	_, err := r.partitionsOf(t.Context(), missing)
	require.ErrorIs(t, err, errNoTopic)
	known, err := r.scan.franz.knownAnywhere(t.Context(), topic)
	require.NoError(t, err)
	require.True(t, known)
	known, err = r.scan.franz.knownAnywhere(t.Context(), missing)
	require.NoError(t, err)
	require.False(t, known)
}
