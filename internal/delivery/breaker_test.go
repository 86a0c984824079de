package delivery

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBreakerIgnoresOnePoisonEvent(t *testing.T) {
	t.Parallel()
	b, now := newBreaker(16), time.Now()
	for i := range 100 { // nothing else is delivered
		require.True(t, b.note(now, int64(i%(breakerEvents-1)), true))
		require.Equal(t, 16, b.limitNow(now))
	}
}

func TestBreakerIgnoresAShareOfFailures(t *testing.T) {
	t.Parallel()
	b, now := newBreaker(16), time.Now()
	for i := range 1000 {
		require.True(t, b.note(now, int64(i), i%3 == 0))
	}
	require.Equal(t, breakerClosed, b.state)
}

func TestBreakerOpensAndRamps(t *testing.T) {
	t.Parallel()
	b, now := newBreaker(16), time.Now()
	counted := 0
	for i := range 40 {
		if b.note(now, int64(i), true) {
			counted++
		}
	}
	require.Equal(t, breakerLeast-1, counted, "failures that count against events")
	require.Zero(t, b.limitNow(now))
	require.Equal(t, 1, b.limitNow(now.Add(breakerPause)), "one event is tried")
	require.False(t, b.note(now, 1, true))
	require.Equal(t, 2*breakerPause, b.pause)
	for range 10 {
		require.Zero(t, b.limitNow(b.until.Add(-time.Millisecond)))
		require.Equal(t, 1, b.limitNow(b.until))
		b.note(b.until, 1, true)
	}
	require.Equal(t, breakerMostPause, b.pause)
	at := b.until
	for _, limit := range []int{1, 2, 4, 8} {
		require.Equal(t, limit, b.limitNow(at))
		require.True(t, b.note(at, 1, false))
	}
	require.Equal(t, breakerClosed, b.state)
	require.Equal(t, 16, b.limitNow(at))
}

func TestBreakerForgetsWhatIsOld(t *testing.T) {
	t.Parallel()
	b, now := newBreaker(16), time.Now()
	for i := range 8 {
		b.note(now, int64(i), true)
	}
	later := now.Add(breakerAge + time.Second)
	for i := range 8 {
		require.True(t, b.note(later, int64(100+i), true))
	}
	require.Equal(t, breakerClosed, b.state)
}
