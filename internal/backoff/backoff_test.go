package backoff

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		require.True(t, Sleep(t.Context(), time.Minute))
		require.Equal(t, time.Minute, time.Since(began))
		require.True(t, SleepUntil(t.Context(), began), "a time that has passed is not waited for")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		require.False(t, Sleep(ctx, time.Hour))
		require.Equal(t, time.Second, time.Since(began))
		require.False(t, Sleep(ctx, 0), "a context that has ended comes first")
	})
}

func TestPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls, began := 0, time.Now()
		third := func() bool { calls++; return calls == 3 }
		require.True(t, Poll(t.Context(), time.Second, third))
		require.Equal(t, 2*time.Second, time.Since(began), "the first call comes at once")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.False(t, Poll(ctx, time.Minute, func() bool { return false }))
	})
}

func TestExponentialGrowsToItsMaximum(t *testing.T) {
	t.Parallel()
	e := NewExponential(100*time.Millisecond, time.Second)
	for range 2 {
		for _, want := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
			want *= time.Millisecond
			require.InDelta(t, want, e.Next(), float64(want)/2+1)
		}
		e.Reset()
	}
}
