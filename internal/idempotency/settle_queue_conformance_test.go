package idempotency

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func testSettle(t *testing.T, b backend) {
	r := newRig(t, b)
	tests := []struct {
		name  string
		given func(*testing.T, event.Claim)
	}{
		{"its own claim", func(t *testing.T, c event.Claim) { r.mustWin(t, c) }},
		{"its own unknown", func(t *testing.T, c event.Claim) { r.mustWin(t, c); r.MarkUnknown(c); r.mustBecome(t, c.ID, "U") }},
		{"a claim that Redis lost", func(*testing.T, event.Claim) {}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := r.newClaim()
			tt.given(t, c)
			r.Settle(c, receiptOf(c))
			requireSettled(t, receiptOf(c), r.mustClaim(t, again(c)), "known here at once")
			r.mustBecome(t, c.ID, "S")
			requireSettled(t, receiptOf(c), r.peer(t).mustClaim(t, again(c)), "known everywhere")
		})
	}
	t.Run("missed", func(t *testing.T) { // not parallel: it runs after those above
		require.Zero(t, counted(t, r.reg, missedTotal, ""))
	})
}

func testMarkUnknown(t *testing.T, b backend) {
	r := newRig(t, b)
	c := r.newClaim()
	r.mustWin(t, c)
	before := r.record(t, c.ID)
	r.MarkUnknown(c)
	require.Equal(t, "U"+before[1:], r.mustBecome(t, c.ID, "U"), "the lease runs on")

	lost := r.newClaim()
	r.MarkUnknown(lost)
	mustClose(t, r.Release(r.newClaim())) // settlements are applied in order
	require.Empty(t, r.record(t, lost.ID), "marking unknown makes no record")
	require.Equal(t, 2, counted(t, r.reg, missedTotal, ""))
}

func testRelease(t *testing.T, b backend) {
	r := newRig(t, b)
	c := r.newClaim()
	r.mustWin(t, c)
	mustClose(t, r.Release(c))
	require.Empty(t, r.record(t, c.ID), "deleted by the time the channel closes")
	require.Zero(t, counted(t, r.reg, missedTotal, ""))
	mustClose(t, r.Release(c))
	require.Equal(t, 1, counted(t, r.reg, missedTotal, ""))
	r.mustWin(t, again(c))

	unknown := r.newClaim()
	r.mustWin(t, unknown)
	r.MarkUnknown(unknown)
	mustClose(t, r.Release(unknown))
	require.Empty(t, r.record(t, unknown.ID))
}

func testSettlementsOfAnothersClaim(t *testing.T, b backend) {
	r := newRig(t, b)
	tests := []struct {
		name  string
		given func(*testing.T, event.Claim)
	}{
		{"claimed", func(t *testing.T, c event.Claim) { r.mustWin(t, c) }},
		{"unknown", func(t *testing.T, c event.Claim) { r.mustWin(t, c); r.MarkUnknown(c); r.mustBecome(t, c.ID, "U") }},
		{"settled", func(t *testing.T, c event.Claim) {
			r.mustWin(t, c)
			r.Settle(c, receiptOf(c))
			r.mustBecome(t, c.ID, "S")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			holder := r.newClaim()
			tt.given(t, holder)
			before := r.record(t, holder.ID)

			p := r.peer(t)
			late := again(holder)
			other := receiptOf(late)
			other.Offset = 99
			p.Settle(late, other)
			p.MarkUnknown(late)
			mustClose(t, p.Release(late))
			require.Equal(t, before, r.record(t, holder.ID))
			require.Equal(t, 3, counted(t, p.reg, missedTotal, ""))
		})
	}
}

// settleThree settles, marks unknown and releases a claim each.
func settleThree(t *testing.T, r *rig) (settled, unknown, released event.Claim, done <-chan struct{}) {
	t.Helper()
	settled, unknown, released = r.newClaim(), r.newClaim(), r.newClaim()
	direct := r.peer(t)
	for _, c := range []event.Claim{settled, unknown, released} {
		direct.mustWin(t, c)
	}
	r.Settle(settled, receiptOf(settled))
	r.MarkUnknown(unknown)
	return settled, unknown, released, r.Release(released)
}

func testSettlementsWaitForRedis(t *testing.T, b backend) {
	p := newProxy(t, b)
	r := newRig(t, b, through(p))
	p.cut()
	settled, unknown, released, done := settleThree(t, r)
	require.Equal(t, event.Settled, r.mustClaim(t, again(settled)).State, "known here without Redis")
	require.Eventually(t, func() bool { return counted(t, r.reg, errorsTotal, "end") >= 2 }, patience, pollEvery)
	for _, c := range []event.Claim{settled, unknown, released} {
		require.Equal(t, "C", r.record(t, c.ID)[:1])
	}
	select {
	case <-done:
		require.FailNow(t, "released without Redis")
	default:
	}

	p.repair(t)
	mustClose(t, done)
	require.Empty(t, r.record(t, released.ID))
	r.mustBecome(t, settled.ID, "S")
	r.mustBecome(t, unknown.ID, "U")
	require.Zero(t, counted(t, r.reg, lostTotal, ""))
}

func testSettlementsDropped(t *testing.T, b backend) {
	p := newProxy(t, b)
	r := newRig(t, b, through(p), withLease(30*time.Millisecond))
	p.cut()
	settled, unknown, released, done := settleThree(t, r)
	mustClose(t, done)
	require.Eventually(t, func() bool { return counted(t, r.reg, lostTotal, "") == 2 }, patience, pollEvery)
	for _, c := range []event.Claim{settled, unknown, released} {
		require.Equal(t, "C", r.record(t, c.ID)[:1], "as after a crash")
	}
	p.repair(t)
	r.mustBecome(t, settled.ID, "S") // a receipt is worth writing for as long as the key is remembered
}

func testLostReplyToSettlement(t *testing.T, b backend) {
	p := newProxy(t, b)
	r := newRig(t, b, through(p))
	c := r.newClaim()
	r.mustWin(t, c)
	p.loseNextReply()
	mustClose(t, r.Release(c))
	require.Zero(t, p.repliesToLose(), "a reply was lost")
	require.Empty(t, r.record(t, c.ID))
}

func testStopDrains(t *testing.T, b backend) {
	const n = 3*maxBatch + 1
	r := newRig(t, b, notRunning)
	claims := make([]event.Claim, n)
	for i := range claims {
		claims[i] = r.newClaim()
		r.Settle(claims[i], receiptOf(claims[i]))
	}
	done := r.Release(r.newClaim())
	stop := r.start(patience)
	stop() // at once: what is queued is still applied
	mustClose(t, done)
	for _, c := range claims {
		require.Equal(t, "S", r.mustBecome(t, c.ID, "S")[:1])
	}
	require.Zero(t, counted(t, r.reg, lostTotal, ""))
}

func testStopWithoutRedis(t *testing.T, b backend) {
	p := newProxy(t, b)
	r := newRig(t, b, through(p), notRunning)
	p.cut()
	for range 3 * maxBatch {
		c := r.newClaim()
		r.Settle(c, receiptOf(c))
	}
	done := r.Release(r.newClaim())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Run(ctx, failurePause/2)
	// Before it drains, Run chooses at random between its queue and the end of its context.
	require.Less(t, counted(t, r.reg, errorsTotal, "end"), 20, "after the drain time no batch is tried")
	mustClose(t, done)
	require.Equal(t, 3*maxBatch+1, counted(t, r.reg, lostTotal, ""))

	// The queue is not read any more, and no caller must wait for it.
	mustClose(t, r.Release(r.newClaim()))
	require.Equal(t, 3*maxBatch+2, counted(t, r.reg, lostTotal, ""))
}
