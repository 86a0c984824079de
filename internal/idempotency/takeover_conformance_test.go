package idempotency

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func testTakeOver(t *testing.T, b backend) {
	r := newRig(t, b, withLease(20*time.Millisecond))
	long := r.peer(t, withLease(longLease))
	first := r.newClaim()
	r.mustWin(t, first)
	original, err := parseRecord(r.record(t, first.ID))
	require.NoError(t, err)

	takers := []struct {
		name       string
		by         *rig
		place      event.Placement
		partitions []int32
	}{
		{"to another partition and owner", r, event.Placement{Topic: "orders", Partition: 7, Owner: "gw-2"}, []int32{3, 7}},
		{"to a partition that is listed already", r, event.Placement{Topic: "orders", Partition: 3, Owner: "gw-3"}, []int32{3, 7}},
		{"to a third partition", long, event.Placement{Topic: "orders", Partition: 0, Owner: "gw-4"}, []int32{3, 7, 0}},
	}
	var last event.Claim
	for _, tt := range takers { // in turn: each takes over from the one before
		c := again(first)
		c.Placement = tt.place
		found := r.mustFind(t, c, event.Abandoned).Abandoned
		require.NoError(t, r.raw.PExpire(t.Context(), recordKey(c.ID), longTTL/2).Err())
		s, err := tt.by.TakeOver(t.Context(), c, found)
		require.NoError(t, err)
		require.Equal(t, event.ClaimResult{State: event.Claimed}, s, tt.name)

		now, err := parseRecord(r.record(t, c.ID))
		require.NoError(t, err)
		require.Equal(t, stored{
			state: "C", fingerprint: original.fingerprint, leaseEndMs: now.leaseEndMs, token: c.Token,
			fromMs: original.fromMs, partitions: tt.partitions, owner: tt.place.Owner, topic: "orders", order: now.order,
		}, now, tt.name)
		require.Greater(t, now.leaseEndMs, original.leaseEndMs)
		require.Greater(t, now.order, original.order)
		ttl, err := r.raw.PTTL(t.Context(), recordKey(c.ID)).Result()
		require.NoError(t, err)
		require.Greater(t, ttl, longTTL/2, "%s: the expiry begins anew", tt.name)
		last = c
	}
	require.Equal(t, event.InProgress, r.mustClaim(t, again(first)).State)
	s, err := long.TakeOver(t.Context(), last, event.AbandonedClaim{Text: "C 1 1 x y 3 gw-1 orders"})
	require.NoError(t, err)
	require.Equal(t, event.Claimed, s.State, "its own token, if the reply was lost")
}

// The next recovery read begins at the earlier of the two times.
func testTakeOverUnderAnotherClock(t *testing.T, b backend) {
	for name, behind := range map[string]time.Duration{"behind": time.Minute, "ahead": -time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, b, withLease(time.Millisecond))
			first := r.newClaim()
			r.mustWin(t, first)
			taker := again(first)
			found := r.mustFind(t, taker, event.Abandoned).Abandoned
			taker.Begun = first.Begun.Add(-behind)
			s, err := r.TakeOver(t.Context(), taker, found)
			require.NoError(t, err)
			require.Equal(t, event.Claimed, s.State)
			now, err := parseRecord(r.record(t, first.ID))
			require.NoError(t, err)
			require.Equal(t, first.Begun.Add(-max(behind, 0)).UnixMilli(), now.fromMs)
		})
	}
}

func testTakeOverOfChangedRecord(t *testing.T, b backend) {
	r := newRig(t, b, withLease(time.Millisecond))
	long := r.peer(t, withLease(longLease))
	tests := []struct {
		name   string
		change func(*testing.T, event.Claim, event.AbandonedClaim)
		want   event.ClaimState
	}{
		{"marked unknown", func(t *testing.T, c event.Claim, _ event.AbandonedClaim) {
			r.MarkUnknown(c)
			r.mustBecome(t, c.ID, "U")
		}, event.Abandoned},
		{"taken by another", func(t *testing.T, c event.Claim, found event.AbandonedClaim) {
			s, err := long.TakeOver(t.Context(), again(c), found)
			require.NoError(t, err)
			require.Equal(t, event.Claimed, s.State)
		}, event.InProgress},
		{"settled", func(t *testing.T, c event.Claim, _ event.AbandonedClaim) {
			r.Settle(c, receiptOf(c))
			r.mustBecome(t, c.ID, "S")
		}, event.Settled},
		{"released", func(t *testing.T, c event.Claim, _ event.AbandonedClaim) { mustClose(t, r.Release(c)) }, event.Absent},
		{"only the lease end differs", func(t *testing.T, c event.Claim, found event.AbandonedClaim) {
			f := strings.Split(found.Text, " ")
			f[1] = "1000"
			require.NoError(t, r.raw.Set(t.Context(), recordKey(c.ID), strings.Join(f, " "), longTTL).Err())
		}, event.Abandoned},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := r.newClaim()
			r.mustWin(t, c)
			found := r.mustFind(t, again(c), event.Abandoned).Abandoned
			tt.change(t, c, found)
			changed := r.record(t, c.ID)
			s, err := r.TakeOver(t.Context(), again(c), found)
			require.NoError(t, err)
			require.Equal(t, tt.want, s.State, s.State.String())
			require.Equal(t, changed, r.record(t, c.ID))
			if tt.want == event.Settled {
				requireSettled(t, receiptOf(c), s)
			}
		})
	}
}

// wrongMarkers are the markers of a bucket whose claims may be lost.
var wrongMarkers = map[string]func(context.Context, *rig) error{
	"missing": func(ctx context.Context, r *rig) error { return r.raw.Del(ctx, markerKey(r.bucket)).Err() },
	"changed": func(ctx context.Context, r *rig) error {
		return r.raw.Set(ctx, markerKey(r.bucket), "another redis", 0).Err()
	},
}

// requireRebuilding requires the answer of a bucket that is not ready.
func requireRebuilding(t *testing.T, err error) {
	t.Helper()
	var r *event.Rebuilding
	require.ErrorAs(t, err, &r)
	require.Positive(t, r.Left)
	require.LessOrEqual(t, r.Left, longLease)
}

func testTakeOverTestsMarker(t *testing.T, b backend) {
	for name, change := range wrongMarkers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, b, withLease(time.Millisecond))
			c := r.newClaim()
			r.mustWin(t, c)
			found := r.mustFind(t, again(c), event.Abandoned).Abandoned
			require.NoError(t, change(t.Context(), r))
			_, err := r.TakeOver(t.Context(), again(c), found)
			require.ErrorAs(t, err, new(*event.Rebuilding))
			require.Equal(t, found.Text, r.record(t, c.ID), "nothing is taken")
		})
	}
}

func testMarkers(t *testing.T, b backend) {
	for name, change := range wrongMarkers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, b)
			require.Equal(t, fmt.Sprintf("gw:n4bQgYh{%02x}:m", r.bucket), markerKey(r.bucket))
			require.NoError(t, r.raw.Get(t.Context(), markerKey(r.bucket)).Err())
			r.mustWin(t, r.newClaim())
			held := r.newClaim()
			r.mustWin(t, held)

			require.NoError(t, change(t.Context(), r))
			lost := r.newClaim()
			_, err := r.Claim(t.Context(), lost)
			requireRebuilding(t, err)
			require.Empty(t, r.record(t, lost.ID), "nothing is claimed")
			_, err = r.Look(t.Context(), lost.ID, lost.Fingerprint)
			requireRebuilding(t, err)
			require.Len(t, r.wake, 1, "the guard is asked to check")

			_, err = r.Claim(t.Context(), again(held))
			requireRebuilding(t, err)
			s, err := r.Look(t.Context(), held.ID, held.Fingerprint)
			require.NoError(t, err)
			require.Equal(t, event.InProgress, s.State, "a record that is there is returned")

			_, err = r.peer(t, transactional).Claim(t.Context(), lost)
			require.Equal(t, &event.Rebuilding{}, err, "how long fencing takes is not known")

			elsewhere := newRig(t, b)
			elsewhere.mustWin(t, elsewhere.newClaim()) // the marker of one bucket does not concern another
			require.Zero(t, counted(t, r.reg, errorsTotal, ""), "Redis did not fail")

			r.setMarker(t, r.bucket)
			r.mustWin(t, again(lost))
		})
	}
}

func testReceiptsUnderAnyMarker(t *testing.T, b backend) {
	for name, change := range wrongMarkers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, b)
			c := r.newClaim()
			r.mustWin(t, c)
			abandoned := event.AbandonedClaim{Text: r.record(t, c.ID)}
			r.Settle(c, receiptOf(c))
			r.mustBecome(t, c.ID, "S")
			require.NoError(t, change(t.Context(), r))

			p := r.peer(t)
			requireSettled(t, receiptOf(c), p.mustClaim(t, again(c)))
			s, err := p.Look(t.Context(), c.ID, c.Fingerprint)
			require.NoError(t, err)
			requireSettled(t, receiptOf(c), s)
			s, err = p.TakeOver(t.Context(), again(c), abandoned)
			require.NoError(t, err)
			requireSettled(t, receiptOf(c), s)
			require.Equal(t, event.Reused, p.mustClaim(t, otherPayload(c)).State)
		})
	}
}
