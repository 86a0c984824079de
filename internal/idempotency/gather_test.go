package idempotency

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A process that slept for longer than its locks lasted begins no generation. Not parallel:
// Redis is asked once.
func TestOvertakenBeforeTheRaise(t *testing.T) {
	l := newMiniLab(t)
	reg := newFakeRegistry()
	a, _ := l.member(t, reg, "a")
	a.intervals.lockTTL = patience
	slept := &gathering{Rebuilder: a.rebuilder(nil)}
	slept.locks = newBucketLocks(slept.Rebuilder)
	_, err := slept.locks.acquire(t.Context(), allBuckets(), lockRaise)
	require.NoError(t, err)
	for _, lock := range a.locks(t) {
		require.NoError(t, a.raw.Del(t.Context(), lock).Err())
	}
	other := newBucketLocks(slept.Rebuilder)
	_, err = other.acquire(t.Context(), allBuckets(), lockRaise)
	require.NoError(t, err)
	require.ErrorIs(t, slept.gather(t.Context(), task{}), errOvertaken)
	require.Zero(t, reg.newest())
}
