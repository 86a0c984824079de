package idempotency

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// held makes the topic wait before its first record until the gate is opened, or a record
// of another topic.
func (l *topicLog) held(topic string, g *gate) {
	l.before = func(ctx context.Context, name string, _ int64) error {
		if name == topic {
			return g.wait(ctx)
		}
		return nil
	}
}

// mustReturn waits until claims of the type are taken, and returns one that was.
func (r *rig) mustReturn(t *testing.T, next func() event.Claim) event.Claim {
	t.Helper()
	var c event.Claim
	require.Eventually(t, func() bool {
		c = next()
		found, err := r.Claim(t.Context(), c)
		return err == nil && found.State == event.Claimed
	}, patience, pollEvery)
	return c
}

func (r *rig) mustRefuse(t *testing.T, c event.Claim) *event.Rebuilding {
	t.Helper()
	_, err := r.Claim(t.Context(), c)
	requireRebuilding(t, err)
	var rebuilding *event.Rebuilding
	require.ErrorAs(t, err, &rebuilding)
	return rebuilding
}

// steal begins another rebuild of a bucket, as if its lock had expired.
func (r *rig) steal(t *testing.T, bucket byte) *bucketLocks {
	t.Helper()
	thief := newBucketLocks(r.rebuilder(nil))
	thief.anew = true
	require.Eventually(t, func() bool {
		require.NoError(t, r.raw.Del(t.Context(), lockKey(bucket)).Err())
		_, err := thief.acquire(t.Context(), []byte{bucket}, lockWrong)
		require.NoError(t, err)
		return thief.has(bucket) // else its holder was faster
	}, patience, pollEvery)
	return thief
}

func testTypesComeBack(t *testing.T, l lab) {
	r, other := l.gateway(t), l.gateway(t)
	log, unreadable := r.topicsOf(2, 40, "a", "b", "shop.x"), newGate()
	log.topics["dead"] = &fakeTopic{types: []string{event.AnyType}}
	log.topics["b"].types = []string{"B", "moved"} // B once also had another topic
	log.topics["a"].types = []string{"A", "moved"}
	log.held("b", unreadable)
	log.why["b"] = "b[1]: no leader"
	r.guard(t, log)
	mustClose(t, unreadable.reached)

	for _, gateway := range []*rig{r, other} {
		c := gateway.mustReturn(t, func() event.Claim { return gateway.typed("A") })
		gateway.mustReturn(t, func() event.Claim { return gateway.delivery("shop.x", "shop.") })
		gateway.mustReturn(t, func() event.Claim { return gateway.delivery("shop.unmapped", "shop.") })
		for _, waits := range []event.Claim{gateway.typed("B"), gateway.typed("moved"), gateway.typed("unknown"), gateway.newClaim(), gateway.delivery("A", "")} {
			gateway.mustRefuse(t, waits)
		}
		// What was written before is known, and what is claimed now is a claim like any other.
		e := log.topics["a"].partitions[1][7]
		again := event.Claim{ID: e.Claim, Fingerprint: e.Fingerprint, Token: freshToken(), Type: "A", Begun: time.Now()}
		requireSettled(t, e.Receipt, gateway.mustClaim(t, again))
		require.Equal(t, event.InProgress, other.mustClaim(t, func() event.Claim { c := c; c.Token = freshToken(); return c }()).State)
		gateway.Settle(c, receiptOf(c))
		gateway.mustBecome(t, c.ID, "S")
	}
	results, errs := r.ClaimAll(t.Context(), []event.Claim{r.typed("B"), r.typed("A"), r.typed("B"), r.typed("A")})
	for i, found := range results {
		if i%2 == 0 {
			requireRebuilding(t, errs[i])
			continue
		}
		require.NoError(t, errs[i])
		require.Equal(t, event.Claimed, found.State)
	}
	require.Eventually(t, func() bool { return r.Availability().Rebuild.Returned("A") }, patience, pollEvery)
	rebuild := r.Availability().Rebuild
	require.False(t, rebuild.Returned("B"))
	require.Equal(t, []string{"b is read to 0 %, waiting for b[1]: no leader"}, rebuild.Waits("B"))
	require.Contains(t, r.mustRefuse(t, r.typed("B")).Progress, "what cannot be read at present is b[1]")
	require.Equal(t, bucketCount, r.wrong(t))

	close(unreadable.open)
	r.mustBeReady(t)
	r.mustHoldTopics(t, log)
	require.EqualValues(t, 1, log.passes.Load())
	r.mustWin(t, r.typed("B"))
	for _, pattern := range []string{"gw:n4bQgYh{*}:d", "gw:n4bQgYh{*}:s"} {
		keys, err := r.raw.Keys(t.Context(), pattern).Result()
		require.NoError(t, err)
		require.Empty(t, keys)
	}
	require.Nil(t, r.Availability().Rebuild)
}

// A claim whose attempt ended is taken over as soon as its type is back.
func testTakeOverOfATypeThatIsBack(t *testing.T, l lab) {
	r := l.gateway(t, withLease(50*time.Millisecond))
	_, err := r.AssertEmpty(t.Context())
	require.NoError(t, err)
	left := map[string]event.Claim{"A": r.typed("A"), "B": r.typed("B")}
	for _, c := range left {
		r.mustWin(t, c)
	}
	found := map[string]event.AbandonedClaim{}
	for name, c := range left {
		found[name] = r.mustFind(t, again(c), event.Abandoned).Abandoned
	}
	for _, b := range allBuckets() {
		require.NoError(t, r.raw.Del(t.Context(), markerKey(b)).Err())
	}
	log, unreadable := r.topicsOf(1, 5, "a", "b"), newGate()
	log.held("b", unreadable)
	r.guard(t, log)
	r.mustReturn(t, func() event.Claim { return r.typed("A") })
	_, err = r.TakeOver(t.Context(), again(left["B"]), found["B"])
	var rebuilding *event.Rebuilding
	require.ErrorAs(t, err, &rebuilding)
	taken, err := r.TakeOver(t.Context(), again(left["A"]), found["A"])
	require.NoError(t, err)
	require.Equal(t, event.Claimed, taken.State)
	close(unreadable.open)
	r.mustBeReady(t)
}

// What is back goes when the rebuild loses what it has restored, or somebody begins anew.
func testWhatIsBackGoesAgain(t *testing.T, l lab) {
	for name, disturb := range map[string]func(t *testing.T, r *rig){
		"promoted": func(t *testing.T, _ *rig) { l.promote(t) },
		"flushed":  func(t *testing.T, r *rig) { require.NoError(t, r.raw.FlushAll(t.Context()).Err()) },
		"begun anew": func(t *testing.T, r *rig) {
			r.steal(t, r.bucket)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := l.gateway(t)
			require.NoError(t, r.raw.FlushAll(t.Context()).Err())
			log, unreadable := r.topicsOf(1, 5, "a", "b"), newGate()
			again := newGate()
			log.before = func(ctx context.Context, topic string, _ int64) error {
				switch {
				case log.passes.Load() > 1:
					return again.wait(ctx)
				case topic == "b":
					return unreadable.wait(ctx)
				}
				return nil
			}
			stop := r.guard(t, log)
			r.mustReturn(t, func() event.Claim { return r.typed("A") })
			disturb(t, r)
			r.mustRefuse(t, r.typed("A"))
			close(unreadable.open)
			close(again.open)
			r.mustBeReady(t)
			stop()
			r.mustHoldTopics(t, log)
		})
	}
}

// What another gateway's rebuild had given back is not said to be back once that is lost.
func testWhatIsBackGoesElsewhereToo(t *testing.T, l lab) {
	r, other := l.gateway(t), l.gateway(t)
	log, unreadable, again := r.topicsOf(1, 5, "a", "b"), newGate(), newGate()
	log.held("b", unreadable)
	log.quiesce = func(ctx context.Context) error {
		if log.waits.Load() > 1 {
			return again.wait(ctx)
		}
		return nil
	}
	r.guard(t, log)
	mustClose(t, unreadable.reached)
	helps := log.seenBy()
	helps.held("b", unreadable)
	g := &guard{Rebuilder: other.rebuilder(helps)} // which only helps
	defer g.helper.wait()
	isBack := func() bool {
		g.help(t.Context())
		return other.Availability().Rebuild.Returned("A")
	}
	require.Eventually(t, isBack, patience, pollEvery)
	require.NoError(t, r.raw.FlushAll(t.Context()).Err())
	mustClose(t, again.reached)
	require.Eventually(t, func() bool { return !isBack() }, patience, pollEvery)
	close(again.open)
	close(unreadable.open)
	r.mustBeReady(t)
	r.mustHoldTopics(t, log)
}
