package lag

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/backoff"
	"eventgateway/internal/kafka"
	"eventgateway/internal/redis"
)

// TestBrokerIsAskedByOne counts at the broker: three collectors with connections and leases
// of their own ask as often as one.
func TestBrokerIsAskedByOne(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "orders"))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	var lists atomic.Int64
	cluster.ControlKey(int16(kmsg.ListGroups), func(kmsg.Request) (kmsg.Response, error, bool) {
		lists.Add(1)
		cluster.KeepControl()
		return nil, nil, false
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	at := kadm.Offsets{}
	at.AddOffset("orders", 0, 0, -1)
	_, err = kadm.NewClient(client).CommitOffsets(t.Context(), "billing", at)
	require.NoError(t, err)

	m := miniredis.RunT(t)
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	var all []*running
	for range 3 {
		rdb := redis.New(redis.Config{Addresses: []string{m.Addr()}})
		t.Cleanup(func() { require.NoError(t, rdb.Close()) })
		survey := kafka.Connection{Brokers: cluster.ListenAddrs()}.Survey(slog.New(slog.DiscardHandler))
		t.Cleanup(survey.Close)
		r := &running{reg: prometheus.NewRegistry()}
		lease := redis.NewLease(rdb, func() string { return "gw:test:lag" }, LeaseTime)
		c := NewCollector(CollectorConfig{Interval: 20 * time.Millisecond, MaxSeries: 100}, New(Config{}, survey), lease, slog.New(slog.DiscardHandler), r.reg)
		working.Go(func() { c.Run(ctx) })
		all = append(all, r)
	}
	t.Cleanup(func() { cancel(); working.Wait() })
	waiting, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	require.True(t, backoff.Poll(waiting, 20*time.Millisecond, func() bool { return lists.Load() >= 10 }))
	cancel()
	working.Wait()

	polled, total := 0, 0.0
	for _, r := range all {
		passes, _ := r.metric(t, "gateway_lag_passes_total")
		total += passes
		if passes > 0 {
			polled++
		}
	}
	require.Equal(t, 1, polled)
	require.LessOrEqual(t, lists.Load(), int64(total)+1, "the last pass may have been cut off by the end")
}
