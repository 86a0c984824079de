package idempotency

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// Two gateways read one log: each record once.
func testTwoRead(t *testing.T, l lab) {
	r, other := l.gateway(t), l.gateway(t)
	log := r.topicsOf(6, 50, "a", "b")
	helps := log.seenBy()
	// The first does not go on until the other has taken a part of it.
	taken := newGate()
	log.before = func(ctx context.Context, topic string, offset int64) error {
		if topic == "b" {
			return nil
		}
		return taken.wait(ctx)
	}
	helps.before = func(context.Context, string, int64) error { return nil }
	// A reader takes two spans at a time.
	log.limit(2)
	helps.limit(1)
	r.guard(t, log)
	mustClose(t, taken.reached)
	other.guard(t, helps)
	require.Eventually(t, func() bool { return helps.read.Load() > 0 }, patience, pollEvery)
	require.Eventually(t, func() bool { return other.Availability().Rebuild != nil }, patience, pollEvery)
	require.Positive(t, counted(t, other.reg, "gateway_idempotency_rebuild_offsets", ""))
	close(taken.open)
	r.mustBeReady(t)
	r.mustHoldTopics(t, log)
	require.Equal(t, log.records(), log.read.Load()+helps.read.Load(), "each record is read once")
	require.Positive(t, helps.turns.Load())
	require.Zero(t, helps.waits.Load())
	require.EqualValues(t, 1, log.waits.Load())
	require.Eventually(t, func() bool { return counted(t, r.reg, rebuilds, "done") == 1 }, patience, pollEvery)
	require.Zero(t, counted(t, other.reg, rebuilds, ""))
	require.Eventually(t, func() bool { return other.Ready() && other.Availability().Rebuild == nil }, patience, pollEvery)
}

// A gateway that dies in the middle is succeeded by one that goes on where it was.
func testGoesOnWhereAnotherDied(t *testing.T, l lab) {
	p := newProxy(t, l.backend)
	dead, heir := l.gateway(t, through(p)), l.gateway(t)
	log := dead.topicsOf(2, 30, "a", "b", "c")
	unreadable := newGate()
	log.held("b", unreadable)
	stop := dead.guard(t, log)
	dead.mustReturn(t, func() event.Claim { return dead.typed("A") })
	p.cut()
	go stop()

	goesOn, alsoUnreadable := log.seenBy(), newGate()
	goesOn.held("b", alsoUnreadable)
	goesOn.unknown = "b"             // whose schema the heir does not have
	heir.mustWin(t, heir.typed("A")) // although nobody holds the locks
	heir.guard(t, goesOn)
	mustClose(t, alsoUnreadable.reached)
	heir.mustRefuse(t, heir.typed("B"))
	heir.mustWin(t, heir.typed("A"))
	close(alsoUnreadable.open)
	heir.mustBeReady(t)
	heir.mustHoldTopics(t, log)
	require.Zero(t, goesOn.waits.Load(), "it does not wait again")
	require.EqualValues(t, 60, goesOn.read.Load(), "and reads only what the dead one has not")
	require.Eventually(t, func() bool { return counted(t, heir.reg, rebuilds, "done") == 1 }, patience, pollEvery) // counted after the markers are set
	close(unreadable.open)
	p.repair(t)
}

// The same gateway goes on after an error of the log or of Redis.
func testGoesOnAfterAnError(t *testing.T, l lab) {
	r := l.gateway(t)
	log := r.topicsOf(1, 30, "a", "b")
	var failed atomic.Bool
	returned := newGate()
	log.before = func(ctx context.Context, topic string, offset int64) error {
		if topic == "b" && offset == 20 && !failed.Swap(true) {
			_ = returned.wait(ctx)
			return context.DeadlineExceeded
		}
		return nil
	}
	r.guard(t, log)
	r.mustReturn(t, func() event.Claim { return r.typed("A") })
	close(returned.open)
	r.mustBeReady(t)
	r.mustHoldTopics(t, log)
	require.EqualValues(t, 1, log.waits.Load())
	require.EqualValues(t, 2, log.passes.Load())
	require.Less(t, log.read.Load(), log.records()+25)
	require.Equal(t, 1, counted(t, r.reg, rebuilds, "failed"))
}

// Locks that expired while Redis hung are found again: nobody has taken them.
func testExpiredLocksAreFoundAgain(t *testing.T, l lab) {
	r := l.gateway(t)
	log, expired := r.topicsOf(1, 600, "a"), newGate()
	log.before = func(ctx context.Context, _ string, offset int64) error {
		if offset == 300 {
			return expired.wait(ctx)
		}
		return nil
	}
	r.guard(t, log)
	mustClose(t, expired.reached)
	for _, lock := range r.locks(t) {
		require.NoError(t, r.raw.Del(t.Context(), lock).Err())
	}
	require.Eventually(t, func() bool { return len(r.locks(t)) == bucketCount }, patience, pollEvery)
	for _, lock := range r.locks(t) {
		require.NoError(t, r.raw.Del(t.Context(), lock).Err())
	}
	close(expired.open)
	r.mustBeReady(t)
	r.mustHoldTopics(t, log)
	require.EqualValues(t, 1, log.passes.Load())
}

// Without the state in Redis, or in another Redis, a rebuild begins anew.
func testWithoutStateItBeginsAnew(t *testing.T, l lab) {
	r := l.gateway(t)
	log, gone := r.topicsOf(1, 40, "a"), newGate()
	log.before = func(ctx context.Context, _ string, offset int64) error {
		if offset == 30 {
			return gone.wait(ctx)
		}
		return nil
	}
	r.guard(t, log)
	mustClose(t, gone.reached)
	states, err := r.raw.Keys(t.Context(), "gw:n4bQgYh{*}:s").Result()
	require.NoError(t, err)
	require.Len(t, states, 1)
	require.NoError(t, r.raw.Del(t.Context(), states[0]).Err())
	close(gone.open)
	r.mustBeReady(t)
	r.mustHoldTopics(t, log)
	require.EqualValues(t, 2, log.passes.Load())
	require.EqualValues(t, 2, log.waits.Load())
}

// A bucket that is lost on the way is not counted as read by anybody, also not by helpers.
func testHelperLosesABucket(t *testing.T, l lab) {
	const lost = 9
	r, other := l.gateway(t), l.gateway(t)
	log := r.topicsOf(2, 2*bucketCount, "a", "b")
	helps, middle := log.seenBy(), newGate()
	log.held("a", middle)
	r.guard(t, log)
	mustClose(t, middle.reached)
	other.guard(t, helps)
	thief := r.steal(t, lost)
	time.AfterFunc(100*time.Millisecond, func() { thief.release(context.Background()) })
	close(middle.open)
	r.mustBeReady(t)
	r.mustHoldTopics(t, log)
}
