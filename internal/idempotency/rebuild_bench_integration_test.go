//go:build integration

package idempotency

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/redis"
	"eventgateway/test/services"
)

// madeLog makes n entries while they are read, so that the memory in use is that of the rebuild.
type madeLog struct {
	n    int
	peak uint64
}

func (madeLog) Quiesce(context.Context, time.Time, []string) error { return nil }

func (l *madeLog) Replay(_ context.Context, _ time.Time, _ bool, visit func(event.LogEntry) error, _ func([]event.TopicReplay), _ event.ReplayShare) error {
	key, now := "customer-17", time.Now()
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range l.n {
		e := event.LogEntry{Timestamp: now, Receipt: event.Receipt{
			ID: "0199aab0-3c1f-7000-8000-000000000000", Type: "orders.placed", Version: "v1", Topic: "orders.placed",
			Partition: int32(n % 12), Offset: int64(n / 12), Key: &key, Time: "2026-01-31T12:00:00.123456Z",
		}}
		for i := 0; i < len(e.Claim); i += 8 {
			binary.BigEndian.PutUint64(e.Claim[i:], rng.Uint64())
			binary.BigEndian.PutUint64(e.Fingerprint[i:], rng.Uint64())
		}
		if err := visit(e); err != nil {
			return err
		}
		if n%(l.n/20) == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			l.peak = max(l.peak, m.HeapAlloc)
		}
	}
	return nil
}

func (*madeLog) HelpReplay(context.Context, time.Time, []event.TopicReplay, func(event.LogEntry) error, func([]event.TopicReplay), event.ReplayShare) error {
	return nil
}

// BenchmarkRebuild rebuilds all buckets of an empty Redis from a log of 200,000 records.
// It reports records/s, and heap-MB: how much the heap grew at its peak.
func BenchmarkRebuild(b *testing.B) {
	const records = 200_000
	server, err := services.StartRedis(b.Context(), services.RedisConfig{Dir: b.TempDir()})
	require.NoError(b, err)
	defer func() { require.NoError(b, server.Stop()) }()
	rdb := redis.New(redis.Config{Addresses: []string{server.Addr()}})
	defer func() { require.NoError(b, rdb.Close()) }()
	for name, grouped := range map[string]bool{"one server": false, "as on a cluster": true} {
		b.Run(name, func(b *testing.B) {
			s := New(Config{Installation: inTest, TTL: longTTL, Lease: longLease}, rdb, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
			s.scripts.cluster = grouped
			var read int64
			var took time.Duration
			var grown uint64
			for b.Loop() {
				b.StopTimer()
				require.NoError(b, rdb.FlushAll(b.Context()).Err())
				var before runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				log := &madeLog{n: records}
				b.StartTimer()
				tally, err := NewRebuilder(s, log).Rebuild(b.Context(), longTTL, nil)
				require.NoError(b, err)
				// A batch whose answer came too late is written, sent again and found: kept.
				require.EqualValues(b, records, tally.Written+tally.Kept)
				require.Greater(b, tally.Written, tally.Kept)
				read, took = read+tally.Read, took+tally.Took
				grown = max(grown, log.peak-min(before.HeapAlloc, log.peak))
			}
			b.ReportMetric(float64(read)/took.Seconds(), "records/s")
			b.ReportMetric(float64(grown)/1e6, "heap-MB")
		})
	}
}
