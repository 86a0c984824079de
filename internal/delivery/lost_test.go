package delivery

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// loses writes 20 records to each of two partitions, of which the group has finished the
// first 5, and deletes the first 10 of partition 0.
func (w *world) loses() {
	w.t.Helper()
	var records []*kgo.Record
	for p := range int32(2) {
		for range 20 {
			r := record(string(rune('a'+p)), `{}`)
			r.Partition, r.Topic = p, "orders"
			records = append(records, r)
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.KafkaAddr()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(w.t, err)
	defer client.Close()
	require.NoError(w.t, client.ProduceSync(w.t.Context(), records...).FirstErr())
	admin := kadm.NewClient(w.client)
	var offsets, first kadm.Offsets
	for p := range int32(2) {
		offsets.Add(kadm.Offset{Topic: "orders", Partition: p, At: 5, LeaderEpoch: -1})
	}
	done, err := admin.CommitOffsets(w.t.Context(), Group("test"), offsets)
	require.NoError(w.t, err)
	require.NoError(w.t, done.Error())
	first.Add(kadm.Offset{Topic: "orders", Partition: 0, At: 10, LeaderEpoch: -1})
	deleted, err := admin.DeleteRecords(w.t.Context(), first)
	require.NoError(w.t, err)
	require.NoError(w.t, deleted.Error())
}

// When Kafka has deleted what waits, the other partitions go on; on_lost says what becomes
// of this one.
func TestLostEvents(t *testing.T) {
	t.Parallel()
	t.Run("earliest goes on with the first that there is", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 2)
		w.loses()
		w.start(w.config(func(c *Config) { c.OnLost = LostEarliest }))
		w.eventually("all is committed", func() bool { return w.committed(0).base == 20 && w.committed(1).base == 20 })
		require.Len(t, w.of("a"), 10)
		require.GreaterOrEqual(t, len(w.of("b")), 15)
	})
	t.Run("stop waits until the configuration says otherwise", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 2)
		w.loses()
		metrics := NewMetrics(prometheus.NewRegistry())
		set := NewSet([]Config{w.config()}, w.table(), Deps{Kafka: w.connection(), DeadLetters: w, Logger: quietLogger, Metrics: metrics})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); set.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-ended })
		w.eventually("the other goes on", func() bool { return w.committed(1).base == 20 })
		w.eventually("it is said", func() bool { return testutil.ToFloat64(metrics.lost.WithLabelValues("test")) == 1 })
		require.Empty(t, w.of("a"))
		require.EqualValues(t, 5, w.committed(0).base)
		set.Replace([]Config{w.config(func(c *Config) { c.OnLost = LostEarliest })})
		w.eventually("all is committed", func() bool { return w.committed(0).base == 20 })
		require.Len(t, w.of("a"), 10)
		w.eventually("the metric is 0 again", func() bool { return testutil.ToFloat64(metrics.lost.WithLabelValues("test")) == 0 })
	})
}
