package idempotency

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func testRebuildByHand(t *testing.T, l lab) {
	r, running := l.gateway(t), l.gateway(t)
	_, err := r.AssertEmpty(t.Context())
	require.NoError(t, err)
	running.guard(t, &fakeLog{quiesce: func(context.Context) error { t.Error("the guard must not rebuild"); return nil }})
	running.mustWin(t, running.newClaim())

	log, working := r.written(600), newGate()
	log.quiesce = working.wait
	var told []Tally
	type result struct {
		tally Tally
		err   error
	}
	done := make(chan result, 1)
	go func() {
		tally, err := r.rebuilder(log).Rebuild(context.Background(), time.Hour/2, func(t Tally) { told = append(told, t) })
		done <- result{tally, err}
	}()
	mustClose(t, working.reached)
	_, err = running.Claim(t.Context(), running.newClaim())
	requireRebuilding(t, err)
	<-time.After(4 * shortIntervals.check) // the guard checks meanwhile
	close(working.open)
	got := <-done
	require.NoError(t, got.err)
	require.Equal(t, bucketCount, got.tally.Buckets)
	require.EqualValues(t, 600, got.tally.Read)
	require.EqualValues(t, 600, got.tally.Written)
	require.NotEmpty(t, told)
	r.mustHold(t, log)
	r.mustBeReady(t)
	running.mustWin(t, running.newClaim())
	require.WithinDuration(t, time.Now().Add(-time.Hour/2), time.UnixMilli(log.from.Load()), patience)
}

func testRebuildByHandWaits(t *testing.T, l lab) {
	r, running := l.gateway(t), l.gateway(t)
	theirs, working := running.written(3), newGate()
	theirs.quiesce = working.wait
	running.guard(t, theirs)
	mustClose(t, working.reached)
	done := make(chan error, 1)
	mine := &fakeLog{entries: theirs.entries}
	go func() {
		_, err := r.rebuilder(mine).Rebuild(context.Background(), time.Hour, nil)
		done <- err
	}()
	<-time.After(4 * shortIntervals.contended) // it tries meanwhile
	require.Zero(t, mine.waits.Load())
	close(working.open)
	require.NoError(t, <-done)
	require.EqualValues(t, 1, mine.passes.Load(), "it reads the log, although another gateway just did")
	r.mustBeReady(t)
}

func testRebuildByHandLosesABucket(t *testing.T, l lab) {
	r := l.gateway(t)
	log := r.written(2 * bucketCount)
	log.before = func(n int) error {
		if n == bucketCount && log.passes.Load() == 1 {
			require.NoError(t, r.raw.Del(context.Background(), lockKey(7), progressKey(7)).Err())
		}
		return nil
	}
	tally, err := r.rebuilder(log).Rebuild(t.Context(), time.Hour, nil)
	require.NoError(t, err)
	require.Equal(t, bucketCount, tally.Buckets)
	require.EqualValues(t, 2, log.passes.Load())
	r.mustBeReady(t)
	r.mustHold(t, log)
}

func testAssertEmpty(t *testing.T, l lab) {
	r, running := l.gateway(t), l.gateway(t)
	log, working := &fakeLog{}, newGate()
	log.quiesce = working.wait
	running.guard(t, log)
	mustClose(t, working.reached)

	set, err := r.AssertEmpty(t.Context())
	require.NoError(t, err)
	require.Equal(t, bucketCount, set)
	r.mustBeReady(t)
	running.mustWin(t, running.newClaim())
	require.Eventually(t, func() bool { return counted(t, running.reg, unreadyNow, "") == 0 }, patience, pollEvery)
	require.Zero(t, log.passes.Load(), "its lock was deleted")
	set, err = r.AssertEmpty(t.Context())
	require.NoError(t, err)
	require.Zero(t, set)

	close(working.open) // for the rebuild that follows
	l.promote(t)
	_, err = r.AssertEmpty(t.Context())
	if err != nil { // unless the guard was faster
		require.ErrorIs(t, err, ErrNotEmpty)
	}
	running.mustBeReady(t)
}
