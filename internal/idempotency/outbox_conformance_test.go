package idempotency

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// testEpoch: an epoch holds until Redis has lost data, or is another one, and for the
// buckets concerned only.
func testEpoch(t *testing.T, l lab) {
	r := l.gateway(t)
	require.Error(t, r.BeginEpoch(t.Context(), "shop", "one"), "claims may be lost")
	stop := r.guard(t, &fakeLog{})
	r.mustBeReady(t)
	c := r.newClaim()
	require.False(t, r.holds(t, "shop", "one"))
	require.NoError(t, r.BeginEpoch(t.Context(), "shop", "one"))
	require.True(t, r.holds(t, "shop", "one"))
	require.True(t, r.holds(t, "shop", "one", c.ID, c.ID))
	require.False(t, r.holds(t, "shop", "two"))
	require.False(t, r.holds(t, "other", "one"))

	stop()
	bucket := bucketOf(c.ID)
	elsewhere := c.ID
	elsewhere[0]++
	marker := r.raw.Get(t.Context(), markerKey(bucket)).Val()
	require.NoError(t, r.raw.Del(t.Context(), markerKey(bucket)).Err())
	_, err := r.HoldsEpoch(t.Context(), "shop", "one", []event.ClaimID{c.ID})
	require.ErrorContains(t, err, "in 1 of 1 buckets claims may be lost")
	require.True(t, r.holds(t, "shop", "one", elsewhere), "another bucket has lost nothing")
	require.NoError(t, r.raw.Set(t.Context(), markerKey(bucket), marker, 0).Err())
	require.True(t, r.holds(t, "shop", "one"))

	require.NoError(t, r.raw.Del(t.Context(), testKeys.epochKey(bucket, "shop")).Err())
	require.False(t, r.holds(t, "shop", "one"))
	require.False(t, r.holds(t, "shop", "one", c.ID))
	require.True(t, r.holds(t, "shop", "one", elsewhere), "another bucket has lost nothing")
}

func (r *rig) holds(t *testing.T, outbox, epoch string, like ...event.ClaimID) bool {
	t.Helper()
	ok, err := r.HoldsEpoch(t.Context(), outbox, epoch, like)
	require.NoError(t, err)
	return ok
}

// holdsLater is holds, once it is known.
func (r *rig) holdsLater(t *testing.T, outbox, epoch string) (ok bool) {
	t.Helper()
	require.Eventually(t, func() (known bool) {
		var err error
		ok, err = r.HoldsEpoch(context.Background(), outbox, epoch, nil)
		return err == nil
	}, patience, pollEvery)
	return ok
}

// testEpochOfAnotherRedis: where nobody counts generations, each rebuild ends an epoch.
func testEpochOfAnotherRedis(t *testing.T, l lab) {
	r := l.gateway(t)
	r.guard(t, &fakeLog{})
	r.mustBeReady(t)
	require.NoError(t, r.BeginEpoch(t.Context(), "shop", "one"))
	l.promote(t)
	require.False(t, r.holdsLater(t, "shop", "one"))
	require.Eventually(t, func() bool { return r.BeginEpoch(context.Background(), "shop", "two") == nil }, patience, pollEvery)
	require.True(t, r.holdsLater(t, "shop", "two"))
}

// testEpochWhileTypesComeBack: an epoch begins before all claims are restored, and it still
// holds when they are.
func testEpochWhileTypesComeBack(t *testing.T, l lab) {
	r := l.gateway(t)
	log, unreadable := r.topicsOf(2, 40, "a", "b"), newGate()
	log.held("b", unreadable)
	log.why["b"] = "b[1]: no leader"
	r.guard(t, log)
	mustClose(t, unreadable.reached)
	r.mustReturn(t, func() event.Claim { return r.typed("A") })
	require.NoError(t, r.BeginEpoch(t.Context(), "shop", "one"))
	require.True(t, r.holds(t, "shop", "one"))
	r.mustRefuse(t, r.typed("B"))
	close(unreadable.open)
	r.mustBeReady(t)
	require.True(t, r.holds(t, "shop", "one"))
}

// testMeasuredEpoch: an epoch outlives what makes Redis another one without a loss, and
// ends with any loss, also if little of the log is read for it.
func testMeasuredEpoch(t *testing.T, l lab) {
	reg := newFakeRegistry()
	r, _ := l.member(t, reg, "a")
	log := &fakeLog{}
	r.begin(t, log)
	require.NoError(t, r.BeginEpoch(t.Context(), "shop", "one"))
	require.Eventually(t, func() bool { return r.mustBeTakenSoon() }, patience, pollEvery) // the guard has seen the markers
	l.change(t)
	require.True(t, r.holdsLater(t, "shop", "one"))
	require.EqualValues(t, 1, reg.newest())

	r.mustBeat(t)
	promoted := time.Now()
	l.promote(t)
	require.False(t, r.holdsLater(t, "shop", "one"))
	r.mustBeReadyWith(t, 2)
	require.WithinDuration(t, promoted.Add(-clockDifference), time.UnixMilli(log.from.Load()), soon, "only the tail is read")
	require.False(t, r.holds(t, "shop", "one"))
	require.NoError(t, r.BeginEpoch(t.Context(), "shop", "two"))
	require.True(t, r.holds(t, "shop", "two"))
}

// testWritten: a claim whose record is acknowledged need not be written again.
func testWritten(t *testing.T, l lab) {
	reg := newFakeRegistry()
	r, _ := l.member(t, reg, "a")
	r.begin(t, &fakeLog{})
	c := r.newClaim()
	r.mustWin(t, c)
	require.False(t, r.Settled())
	r.Written(c)
	require.True(t, r.Settled())
	require.Regexp(t, "^C ", r.record(t, c.ID))
}

// testExpireClaims: claims expire early, settled or not, and none lives longer for it.
func testExpireClaims(t *testing.T, b backend) {
	r := newRig(t, b)
	held, settled, absent := r.newClaim(), r.newClaim(), r.newClaim()
	r.mustWin(t, held)
	r.mustWin(t, settled)
	r.Settle(settled, receiptOf(settled))
	r.mustBecome(t, settled.ID, stateSettled)
	ttl := func(c event.Claim) time.Duration { return r.raw.PTTL(t.Context(), recordKey(c.ID)).Val() }

	require.NoError(t, r.ExpireClaims(t.Context(), []event.ClaimID{held.ID, settled.ID, absent.ID}, time.Minute))
	require.LessOrEqual(t, ttl(settled), time.Minute)
	require.LessOrEqual(t, ttl(held), time.Minute)

	require.NoError(t, r.ExpireClaims(t.Context(), []event.ClaimID{settled.ID}, time.Hour))
	require.LessOrEqual(t, ttl(settled), time.Minute)
}
