package idempotency

import (
	"context"
	"fmt"
	"strings"
	"sync"
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
		{"to a partition that stands there", r, event.Placement{Topic: "orders", Partition: 3, Owner: "gw-3"}, []int32{3, 7}},
		{"to a third partition", long, event.Placement{Topic: "orders", Partition: 0, Owner: "gw-4"}, []int32{3, 7, 0}},
	}
	var last event.Claim
	for _, tt := range takers { // one after the other: each takes over from the one before
		c := again(first)
		c.Placement = tt.place
		found := r.mustFind(t, c, event.Abandoned).Found
		require.NoError(t, r.raw.PExpire(t.Context(), recordKey(c.ID), longTTL/2).Err())
		s, err := tt.by.TakeOver(t.Context(), c, found)
		require.NoError(t, err)
		require.Equal(t, event.Standing{State: event.Won}, s, tt.name)

		now, err := parseRecord(r.record(t, c.ID))
		require.NoError(t, err)
		require.Equal(t, stored{
			state: "C", fingerprint: original.fingerprint, leaseEndMs: now.leaseEndMs, token: c.Token,
			fromMs: original.fromMs, partitions: tt.partitions, owner: tt.place.Owner, topic: "orders",
		}, now, tt.name)
		require.Greater(t, now.leaseEndMs, original.leaseEndMs)
		ttl, err := r.raw.PTTL(t.Context(), recordKey(c.ID)).Result()
		require.NoError(t, err)
		require.Greater(t, ttl, longTTL/2, "%s: the expiry begins anew", tt.name)
		last = c
	}
	require.Equal(t, event.InProgress, r.mustClaim(t, again(first)).State)
	s, err := long.TakeOver(t.Context(), last, "C 1 1 x y 3 gw-1 orders")
	require.NoError(t, err)
	require.Equal(t, event.Won, s.State, "its own token, if the reply was lost")
}

func testTakeOverOfChangedRecord(t *testing.T, b backend) {
	r := newRig(t, b, withLease(time.Millisecond))
	long := r.peer(t, withLease(longLease))
	tests := []struct {
		name   string
		change func(*testing.T, event.Claim, string)
		want   event.ClaimState
	}{
		{"doubted", func(t *testing.T, c event.Claim, _ string) { r.Doubt(c); r.mustBecome(t, c.ID, "U") }, event.Abandoned},
		{"taken by another", func(t *testing.T, c event.Claim, found string) {
			s, err := long.TakeOver(t.Context(), again(c), found)
			require.NoError(t, err)
			require.Equal(t, event.Won, s.State)
		}, event.InProgress},
		{"settled", func(t *testing.T, c event.Claim, _ string) {
			r.Settle(c, receiptOf(c))
			r.mustBecome(t, c.ID, "S")
		}, event.Settled},
		{"released", func(t *testing.T, c event.Claim, _ string) { mustClose(t, r.Release(c)) }, event.Absent},
		{"only the lease end differs", func(t *testing.T, c event.Claim, found string) {
			f := strings.Split(found, " ")
			f[1] = "1000"
			require.NoError(t, r.raw.Set(t.Context(), recordKey(c.ID), strings.Join(f, " "), longTTL).Err())
		}, event.Abandoned},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := r.newClaim()
			r.mustWin(t, c)
			found := r.mustFind(t, again(c), event.Abandoned).Found
			tt.change(t, c, found)
			changed := r.record(t, c.ID)
			s, err := r.TakeOver(t.Context(), again(c), found)
			require.NoError(t, err)
			require.Equal(t, tt.want, s.State, s.State.String())
			require.Equal(t, changed, r.record(t, c.ID))
			if tt.want == event.Settled {
				require.Equal(t, receiptOf(c), s.Receipt)
			}
		})
	}
}

func testTakeOverTestsMarker(t *testing.T, b backend) {
	for name, change := range map[string]func(context.Context, *rig) error{
		"missing": func(ctx context.Context, r *rig) error { return r.raw.Del(ctx, markerKey(r.bucket)).Err() },
		"changed": func(ctx context.Context, r *rig) error {
			return r.raw.Set(ctx, markerKey(r.bucket), "another redis", 0).Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, b, withLease(time.Millisecond))
			c := r.newClaim()
			r.mustWin(t, c)
			found := r.mustFind(t, again(c), event.Abandoned).Found
			require.NoError(t, change(t.Context(), r))
			_, err := r.TakeOver(t.Context(), again(c), found)
			require.ErrorContains(t, err, "marker changed")
			require.Equal(t, found, r.record(t, c.ID), "nothing is taken")
		})
	}
}

func testMarkers(t *testing.T, b backend) {
	r := newRig(t, b)
	marker := func() string {
		text, err := r.raw.Get(t.Context(), markerKey(r.bucket)).Result()
		require.NoError(t, err)
		return text
	}
	adopted := func() [3]int {
		return [3]int{counted(t, r.reg, adoptTotal, "new"), counted(t, r.reg, adoptTotal, "lost"), counted(t, r.reg, adoptTotal, "changed")}
	}
	require.Equal(t, fmt.Sprintf("gw:{%02x}:m", r.bucket), markerKey(r.bucket))

	r.mustWin(t, r.newClaim())
	replid := marker()
	require.Len(t, replid, 40)
	require.Equal(t, [3]int{1, 0, 0}, adopted(), "missing at first")

	r.mustWin(t, r.newClaim())
	require.Equal(t, [3]int{1, 0, 0}, adopted(), "present")

	require.NoError(t, r.raw.Set(t.Context(), markerKey(r.bucket), "another redis", 0).Err())
	r.mustWin(t, r.newClaim())
	require.Equal(t, replid, marker())
	require.Equal(t, [3]int{1, 0, 1}, adopted(), "changed")

	require.NoError(t, r.raw.Del(t.Context(), markerKey(r.bucket)).Err())
	r.mustWin(t, r.newClaim())
	require.Equal(t, replid, marker())
	require.Equal(t, [3]int{1, 1, 1}, adopted(), "lost")

	// A claim in one bucket says nothing about another.
	elsewhere := r.newClaim()
	elsewhere.ID[0] = newRig(t, b).bucket
	r.mustWin(t, elsewhere)
	require.Equal(t, [3]int{2, 1, 1}, adopted())
}

// Of many claims that find a bucket without a marker one adopts it. The others
// have not seen a failover and must not say so.
func testAdoptOnce(t *testing.T, b backend) {
	r := newRig(t, b)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { _ = r.adopt(context.Background(), r.bucket) })
	}
	wg.Wait()
	r.mustWin(t, r.newClaim())
	require.Equal(t, 1, counted(t, r.reg, adoptTotal, "new"))
	require.Equal(t, 1, counted(t, r.reg, adoptTotal, ""))
}
