package idempotency

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// logBuffer collects log lines.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func logTo(b *logBuffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func (b *logBuffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Count(b.text.Bytes(), []byte(text))
}

// watched lets the rig watch its Redis until the test ends, and returns its log.
func (r *rig) watched(t *testing.T) *logBuffer {
	t.Helper()
	log := &logBuffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	r.logger, r.available.logger, r.settles.logger = logger, logger, logger
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Watch(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	require.Eventually(t, func() bool { return r.Availability().Away == nil }, patience, pollEvery)
	return log
}

func requireAway(t *testing.T, err error) {
	t.Helper()
	var away *event.StoreAway
	require.ErrorAs(t, err, &away)
}

// testRedisHangs: while Redis does not answer, claims, look-ups and take-overs are refused
// without being asked for; as soon as it answers, they are taken. The log names the outage
// once.
func testRedisHangs(t *testing.T, b backend) {
	p := newProxy(t, b)
	r := newRig(t, b, through(p), notRunning)
	log := r.watched(t)
	require.InDelta(t, 1, testutil.ToFloat64(r.metrics.up), 0)
	first := r.newClaim()
	r.mustWin(t, first)

	p.stall()
	require.Eventually(t, func() bool {
		_, err := r.Claim(t.Context(), r.newClaim())
		var away *event.StoreAway
		return errors.As(err, &away)
	}, patience, pollEvery)
	asked := testutil.CollectAndCount(r.metrics.errors)
	for range 100 {
		_, err := r.Claim(t.Context(), r.newClaim())
		requireAway(t, err)
	}
	_, errs := r.ClaimAll(t.Context(), []event.Claim{r.newClaim(), r.newClaim()})
	requireAway(t, errs[0])
	requireAway(t, errs[1])
	_, err := r.Look(t.Context(), first.ID, first.Fingerprint)
	requireAway(t, err)
	_, err = r.TakeOver(t.Context(), r.newClaim(), event.AbandonedClaim{})
	requireAway(t, err)
	require.Equal(t, asked, testutil.CollectAndCount(r.metrics.errors))
	require.Error(t, r.Availability().Away)
	require.InDelta(t, 0, testutil.ToFloat64(r.metrics.up), 0)

	p.flow()
	require.Eventually(t, func() bool {
		result, err := r.Claim(t.Context(), r.newClaim())
		return err == nil && result.State == event.Claimed
	}, patience, pollEvery)
	require.Eventually(t, func() bool { return r.Availability().Away == nil }, patience, pollEvery)
	require.InDelta(t, 1, testutil.ToFloat64(r.metrics.up), 0)
	require.Equal(t, 1, log.count("redis takes no claims"))
	require.Equal(t, 1, log.count("redis takes claims again"))
	require.Zero(t, log.count("level=WARN"))
}

func TestRedisHangs(t *testing.T) {
	t.Parallel()
	testRedisHangs(t, devBackend(t))
}

// TestNodesOfAClusterFailOneByOne: buckets of other nodes are not refused.
func TestNodesOfAClusterFailOneByOne(t *testing.T) {
	t.Parallel()
	b := devBackend(t)
	b.grouped = true
	r := newRig(t, b, notRunning)
	r.available.watched.Store(true)
	require.Equal(t, bucketCount, r.Availability().AwayBuckets, "it was never asked")
	for _, bucket := range allBuckets() {
		r.available.note(bucket, nil)
	}
	require.Zero(t, r.Availability().AwayBuckets)
	gone := errors.New("gone")
	for range awayAfter {
		require.NoError(t, r.available.refuse(7), "one failure may be a moment's")
		r.available.note(7, gone)
	}
	requireAway(t, r.available.refuse(7))
	require.ErrorIs(t, r.available.refuse(7), gone)
	require.NoError(t, r.available.refuse(8))
	require.Equal(t, 1, r.Availability().AwayBuckets)
	r.available.note(8, nil)
	require.InDelta(t, 0, testutil.ToFloat64(r.metrics.up), 0)

	r.available.note(7, nil)
	require.NoError(t, r.available.refuse(7))
	require.NoError(t, r.Availability().Away)
	require.InDelta(t, 1, testutil.ToFloat64(r.metrics.up), 0)
	r.available.note(7, gone)
	r.available.note(7, nil)
	r.available.note(7, gone)
	r.available.note(7, gone)
	require.NoError(t, r.available.refuse(7), "failures count only in a row")
}

// TestUnwatchedStoreAsksAgain: without Watch nobody would notice that Redis is back.
func TestUnwatchedStoreAsksAgain(t *testing.T) {
	t.Parallel()
	b := devBackend(t)
	r := newRig(t, b, notRunning)
	for range awayAfter {
		r.available.note(r.bucket, errors.New("gone"))
	}
	r.mustWin(t, r.newClaim())
	require.NoError(t, r.Availability().Away)
}

// TestStopIsNoOutage: probes that a stop ends say nothing about Redis.
func TestStopIsNoOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t, devBackend(t), notRunning)
	require.True(t, r.available.probe(t.Context()))
	stopped, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-stopped.Done()
	for range awayAfter {
		require.False(t, r.available.probe(stopped))
	}
	require.NoError(t, r.Availability().Away)
}
