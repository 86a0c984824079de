package idempotency

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// TestRebuildOnMiniredis proves the logic; the guarantees are proven by
// TestRebuildOnRedis, which also sends its scripts as to a Cluster: here 256 of
// them in a pipeline take too long.
func TestRebuildOnMiniredis(t *testing.T) {
	t.Parallel()
	runRebuildConformance(t, newMiniLab, false)
}

// madeLog makes n entries as they are read, so that memory is the rebuild's.
type madeLog struct {
	n    int
	peak uint64
}

func (madeLog) Quiesce(context.Context, time.Time) error { return nil }

func (l *madeLog) Replay(_ context.Context, _ time.Time, visit func(event.LogEntry) error) error {
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

// measureRebuild logs how fast a rebuild is; it asserts only what it did.
func measureRebuild(t *testing.T, l lab, n int) {
	t.Helper()
	r := l.gateway(t)
	r.pace = usualPace
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	log := &madeLog{n: n}
	tally, err := r.Rebuild(t.Context(), log, longTTL, nil)
	require.NoError(t, err)
	// A batch whose answer came too late is written, asked again and found: kept.
	require.EqualValues(t, n, tally.Written+tally.Kept)
	require.Greater(t, tally.Written, tally.Kept)
	t.Logf("%d records in %v: %.0f records/s; heap %.1f MB more at its peak", n, tally.Took.Round(time.Millisecond),
		float64(n)/tally.Took.Seconds(), float64(log.peak-min(before.HeapAlloc, log.peak))/1e6)
}
