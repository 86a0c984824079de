package idempotency

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// testDisturbed rebuilds while something happens to Redis in the middle of the first
// pass: the rebuild must start over, and succeed.
func testDisturbed(t *testing.T, l lab, disturb func(*rig)) *fakeLog {
	t.Helper()
	r := l.gateway(t)
	r.intervals.lockTTL = patience // on a busy machine a short one may expire, which is a disturbance more
	log := r.written(3 * restoreBatch)
	if l.grouped {
		log = r.written(2*clusterRestoreBatch + 1)
	}
	log.before = func(n int) error {
		if n == len(log.entries)/2 && log.passes.Load() == 1 {
			disturb(r)
		}
		return nil
	}
	r.guard(t, log)
	require.Eventually(t, func() bool { return counted(t, r.reg, rebuilds, "done") == 1 }, patience, pollEvery)
	r.mustBeReady(t)
	r.mustHold(t, log)
	require.EqualValues(t, 2, log.passes.Load(), "it started over")
	require.EqualValues(t, 2, log.waits.Load(), "and waited again")
	require.Equal(t, 1, counted(t, r.reg, rebuilds, "overtaken"))
	return log
}

func testPromotedInTheMiddle(t *testing.T, l lab) {
	testDisturbed(t, l, func(*rig) { l.promote(t) })
}

func testFlushedInTheMiddle(t *testing.T, l lab) {
	testDisturbed(t, l, func(r *rig) { require.NoError(t, r.raw.FlushAll(context.Background()).Err()) })
}

// Nothing was to be written, so that only setting the markers can notice.
func testDisturbedAtTheEnd(t *testing.T, l lab) {
	for name, disturb := range map[string]func(*rig){
		"promoted": func(*rig) { l.promote(t) },
		"flushed":  func(r *rig) { require.NoError(t, r.raw.FlushAll(context.Background()).Err()) },
		"stolen": func(r *rig) {
			thief := r.raw.TxPipeline()
			value := "thief " + replidOf(t, r)
			for _, lock := range r.locks(t) {
				thief.Set(t.Context(), lock, value, time.Millisecond)
				thief.Del(t.Context(), strings.TrimSuffix(lock, "l")+"d")
			}
			_, err := thief.Exec(t.Context())
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := l.gateway(t)
			r.intervals.lockTTL = patience
			require.NoError(t, r.raw.FlushAll(t.Context()).Err())
			log := &fakeLog{}
			log.onPass = func(pass int) {
				switch pass {
				case 1:
					disturb(r)
				case 2: // of all buckets, or of those whose stolen locks expired first
					require.Equal(t, bucketCount, r.wrong(t), "no marker was set")
				}
			}
			stop := r.guard(t, log)
			r.mustBeReady(t)
			stop()
			require.Equal(t, 1, counted(t, r.reg, rebuilds, "overtaken"))
		})
	}
}

func replidOf(t *testing.T, r *rig) string {
	t.Helper()
	info, err := r.raw.Info(t.Context(), "replication").Result()
	require.NoError(t, err)
	return regexp.MustCompile(`master_replid:(\w+)`).FindStringSubmatch(info)[1]
}

func testLocksOfAnotherRedis(t *testing.T, l lab) {
	dead, heir := l.gateway(t), l.gateway(t)
	dead.intervals.lockTTL = time.Hour
	_, err := newBucketLocks(dead.rebuilder(nil)).acquire(t.Context(), allBuckets(), lockWrong)
	require.NoError(t, err)
	l.promote(t)
	heir.guard(t, &fakeLog{})
	heir.mustBeReady(t)
}

// The renewal of the locks notices it, so that the gateway does not wait out a lease for
// nothing.
func testFlushedWhileWaiting(t *testing.T, l lab) {
	r := l.gateway(t)
	log, working := r.written(10), newGate()
	log.quiesce = func(ctx context.Context) error {
		if log.waits.Load() > 1 {
			return nil
		}
		return working.wait(ctx)
	}
	r.guard(t, log)
	mustClose(t, working.reached)
	require.NoError(t, r.raw.FlushAll(t.Context()).Err())
	r.mustBeReady(t)
	r.mustHold(t, log)
	require.EqualValues(t, 2, log.waits.Load())
	require.EqualValues(t, 1, log.passes.Load())
}

func testLockStolen(t *testing.T, l lab) {
	const stolen = 7
	r := l.gateway(t)
	log := r.written(4 * bucketCount)
	log.before = func(n int) error {
		if n == bucketCount && log.passes.Load() == 1 {
			lock := r.raw.Get(context.Background(), lockKey(stolen)).Val()
			require.NotEmpty(t, lock)
			require.NoError(t, r.raw.Set(context.Background(), lockKey(stolen), "thief"+lock[len(lock)-41:], 10*shortIntervals.contended).Err())
		}
		return nil
	}
	passed := make(chan struct{})
	log.quiesce = func(ctx context.Context) error {
		if log.waits.Load() == 2 { // the thief's lock has expired
			close(passed)
			require.Equal(t, 1, r.wrong(t), "the gateway that lost the lock sets no marker, and its other buckets are ready")
			require.Equal(t, []string{lockKey(stolen)}, r.locks(t))
		}
		return ctx.Err()
	}
	r.guard(t, log)
	mustClose(t, passed)
	r.mustBeReady(t)
	r.mustHold(t, log)
	require.Equal(t, 1, counted(t, r.reg, rebuilds, "overtaken"))
}
