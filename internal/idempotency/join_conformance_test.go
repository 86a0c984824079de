package idempotency

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// A gateway that looks for a lock to join, and finds none, lets the claims be that are under
// way: their types may be back already.
func testNothingToJoin(t *testing.T, l lab) {
	reg := newFakeRegistry()
	a, member := l.member(t, reg, "a")
	a.intervals.lockTTL = patience
	_, _, err := member.Raise(t.Context())
	require.NoError(t, err)
	r := a.rebuilder(nil)
	underWay := func() event.Claim {
		c := a.newClaim()
		a.unsettled.send(1, 1, nil, &c)
		return c
	}
	joins := func() bool { return r.join(t.Context(), 1) }
	first := underWay()
	require.False(t, joins(), "the buckets have no marker")
	require.True(t, a.unsettled.hold(1, first.Token, "@1.1"))

	locks := newBucketLocks(r)
	_, err = locks.acquireAll(t.Context(), allBuckets(), lockRaise)
	require.NoError(t, err)
	require.NoError(t, locks.raised(t.Context(), 1))
	second := underWay()
	require.Eventually(t, joins, patience, pollEvery)
	require.False(t, a.unsettled.hold(1, second.Token, "@1.2"), "its script may come before the claims that were written again")
	require.Regexp(t, "^C .* "+first.Token+" ", a.record(t, first.ID))

	third := underWay()
	require.Eventually(t, joins, patience, pollEvery, "it has joined")
	require.True(t, a.unsettled.hold(1, third.Token, "@1.3"))
}

// What is over leaves the list of unsettled claims also while this gateway's guard is at a
// long rebuild.
func testSweptUnderARebuild(t *testing.T, l lab) {
	reg := newFakeRegistry()
	a, _ := l.member(t, reg, "a")
	log, reading := a.topicsOf(1, 5, "a", "b"), newGate()
	log.held("b", reading)
	other, _ := l.member(t, reg, "b")
	joining, stopJoining := context.WithCancel(t.Context())
	go joiner{other.rebuilder(nil)}.run(joining)
	a.guard(t, log)
	mustClose(t, reading.reached)
	stopJoining()
	over := a.newClaim()
	over.Begun = time.Now().Add(-longLease - 2*appearsWithin)
	a.unsettled.send(1, 1, nil, &over)
	require.False(t, a.unsettled.none())
	require.Eventually(t, a.unsettled.none, patience, pollEvery)
	close(reading.open)
	a.mustBeReadyWith(t, 1)
}
