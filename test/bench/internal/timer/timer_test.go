package timer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTimerIsNotEarly(t *testing.T) {
	t.Parallel()
	timer, err := New()
	require.NoError(t, err)
	for range 5 {
		at := time.Now().Add(3 * time.Millisecond)
		require.NoError(t, timer.SleepUntil(at))
		require.LessOrEqual(t, time.Until(at), time.Duration(0))
	}
	require.NoError(t, timer.Close())
	require.Error(t, timer.SleepUntil(time.Now().Add(time.Millisecond)))
}
