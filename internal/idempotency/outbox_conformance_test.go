package idempotency

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// testEpoch: an epoch holds until Redis has lost data, or is another one, and for the
// buckets concerned only.
func testEpoch(t *testing.T, b backend) {
	r := newRig(t, b)
	c := r.newClaim()
	holds := func(outbox, epoch string, like ...event.ClaimID) bool {
		t.Helper()
		ok, err := r.HoldsEpoch(t.Context(), outbox, epoch, like)
		require.NoError(t, err)
		return ok
	}
	require.False(t, holds("shop", "one"))
	require.NoError(t, r.BeginEpoch(t.Context(), "shop", "one"))
	require.True(t, holds("shop", "one"))
	require.True(t, holds("shop", "one", c.ID, c.ID))
	require.False(t, holds("shop", "two"))
	require.False(t, holds("other", "one"))

	key := testKeys.epochKey(bucketOf(c.ID), "shop")
	was := r.raw.Get(t.Context(), key).Val()
	require.NoError(t, r.raw.Set(t.Context(), key, "one another-redis", 0).Err())
	require.False(t, holds("shop", "one", c.ID), "a promoted replica has another id")
	require.NoError(t, r.raw.Set(t.Context(), key, was, 0).Err())
	require.True(t, holds("shop", "one"))

	require.NoError(t, r.raw.Del(t.Context(), key).Err())
	require.False(t, holds("shop", "one"))
	require.False(t, holds("shop", "one", c.ID))
	elsewhere := c.ID
	elsewhere[0]++
	require.True(t, holds("shop", "one", elsewhere), "another bucket has lost nothing")
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
