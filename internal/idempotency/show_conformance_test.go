package idempotency

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// testShow shows each state in the life of a claim. The record stays as it was.
func testShow(t *testing.T, b backend) {
	r := newRig(t, b)
	show := func(c event.Claim) Shown {
		t.Helper()
		before := r.record(t, c.ID)
		shown, err := Show(t.Context(), r.raw, testInstallation, c.ID)
		require.NoError(t, err)
		require.Equal(t, c.ID, shown.Claim)
		require.Equal(t, recordKey(c.ID), shown.RecordKey)
		require.Equal(t, r.bucket, shown.Bucket)
		require.Equal(t, before, r.record(t, c.ID))
		return shown
	}
	held := func(c event.Claim, shown Shown) {
		t.Helper()
		require.Equal(t, c.Fingerprint[:], shown.Fingerprint)
		require.Equal(t, c.Token, shown.Token)
		require.Equal(t, c.Placement.Owner, shown.Owner)
		require.Equal(t, c.Placement.Topic, shown.Topic)
		require.Equal(t, []int32{c.Placement.Partition}, shown.Partitions)
		require.WithinDuration(t, c.Begun, shown.From, time.Millisecond)
		require.InDelta(t, longLease, shown.LeaseLeft, float64(patience))
		require.NotNil(t, shown.Expires)
		require.InDelta(t, longTTL, *shown.Expires, float64(patience))
	}

	c := r.newClaim()
	shown := show(c)
	require.Equal(t, ShownAbsent, shown.State)
	require.Equal(t, MarkerReady, shown.Marker)
	require.Nil(t, shown.Expires)

	r.mustWin(t, c)
	shown = show(c)
	require.Equal(t, ShownClaimed, shown.State)
	held(c, shown)

	r.MarkUnknown(c)
	r.mustBecome(t, c.ID, stateUnknown)
	shown = show(c)
	require.Equal(t, ShownUnknown, shown.State)
	held(c, shown)

	r.Settle(c, receiptOf(c))
	r.mustBecome(t, c.ID, stateSettled)
	shown = show(c)
	require.Equal(t, ShownSettled, shown.State)
	require.Equal(t, event.KeepReceipt(receiptOf(c), receiptOf(c).AppendJSON(nil)), shown.Kept)
	require.Equal(t, c.Fingerprint[:shortFingerprint], shown.Fingerprint)
	require.Empty(t, shown.Token)

	require.NoError(t, r.raw.Set(t.Context(), markerKey(r.bucket), "another", 0).Err())
	require.Equal(t, MarkerForeign, show(c).Marker)
	require.NoError(t, r.raw.Del(t.Context(), markerKey(r.bucket)).Err())
	shown = show(c)
	require.Equal(t, MarkerMissing, shown.Marker)
	require.Equal(t, ShownSettled, shown.State, "a receipt is correct whatever else was lost")

	require.NoError(t, r.raw.Set(t.Context(), recordKey(c.ID), "something", 0).Err())
	_, err := Show(t.Context(), r.raw, testInstallation, c.ID)
	require.ErrorIs(t, err, errBadRecord)
	require.ErrorContains(t, err, QuoteKey(recordKey(c.ID)))
}

// testShowAbandoned shows a claim whose lease is over.
func testShowAbandoned(t *testing.T, b backend) {
	r := newRig(t, b, withLease(10*time.Millisecond))
	c := r.newClaim()
	r.mustWin(t, c)
	require.Eventually(t, func() bool {
		shown, err := Show(t.Context(), r.raw, testInstallation, c.ID)
		return err == nil && shown.State == ShownClaimed && shown.LeaseLeft <= 0
	}, patience, pollEvery)
}
