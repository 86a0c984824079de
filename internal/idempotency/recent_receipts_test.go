package idempotency

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func recentAtTime(clock *time.Time, age time.Duration) *recentReceipts {
	r := newRecentReceipts(age)
	r.now = func() time.Time { return *clock }
	r.youngSince = *clock
	return r
}

func numbered(n int) event.ClaimID {
	var id event.ClaimID
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

func TestRecentRemembersReceipts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	r := recentAtTime(&now, time.Minute)
	receipt := event.Receipt{ID: "e-1", Offset: 7}
	fp, other := event.Fingerprint{1}, event.Fingerprint{2}
	_, ok := r.look(numbered(1), fp)
	require.False(t, ok)

	r.add(numbered(1), fp, string(receipt.AppendJSON(nil)))
	s, ok := r.look(numbered(1), fp)
	require.True(t, ok)
	require.Equal(t, event.ClaimResult{State: event.Settled, Receipt: receipt}, s)
	s, ok = r.look(numbered(1), other)
	require.True(t, ok)
	require.Equal(t, event.ClaimResult{State: event.Reused}, s)
	_, ok = r.look(numbered(2), fp)
	require.False(t, ok)
}

func TestRecentForgetsByAge(t *testing.T) {
	t.Parallel()
	const age = time.Minute
	tests := []struct {
		name    string
		added   time.Duration // since the generation began
		looks   []time.Duration
		present bool // at the last look
	}{
		{"at once", 0, []time.Duration{0}, true},
		{"half its age, in any generation", age/2 - 1, []time.Duration{age - 2}, true},
		{"in the older generation", 0, []time.Duration{age / 2, age - 1}, true},
		{"at its age", 0, []time.Duration{age / 2, age}, false},
		{"after a pause", 0, []time.Duration{age}, false},
		{"after a long pause", 0, []time.Duration{100 * age}, false},
		{"at one and a half of its age, whoever looked when", 0, []time.Duration{age - 1, 3*age/2 - 1}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start := time.Unix(1000, 0)
			now := start
			r := recentAtTime(&now, age)
			now = start.Add(tt.added)
			r.add(numbered(1), event.Fingerprint{}, string(event.Receipt{}.AppendJSON(nil)))
			var ok bool
			for _, at := range tt.looks {
				now = start.Add(at)
				_, ok = r.look(numbered(1), event.Fingerprint{})
			}
			require.Equal(t, tt.present, ok)
		})
	}
}

func TestRecentForgetsBySize(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	r := recentAtTime(&now, time.Minute)
	for n := range 5 * recentLimit / 2 {
		r.add(numbered(n), event.Fingerprint{}, string(event.Receipt{}.AppendJSON(nil)))
		require.LessOrEqual(t, len(r.young), recentLimit)
		require.LessOrEqual(t, len(r.old), recentLimit)
	}
	for n, want := range map[int]bool{
		0: false, recentLimit - 1: false, // two generations ago
		recentLimit: true, 2*recentLimit - 1: true, 5*recentLimit/2 - 1: true,
	} {
		_, ok := r.look(numbered(n), event.Fingerprint{})
		require.Equal(t, want, ok, "entry %d", n)
	}
}
