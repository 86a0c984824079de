//go:build !torture

package failpoint

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Not parallel: it sets an environment variable.
func TestWithoutTheTagNothingHappens(t *testing.T) {
	t.Setenv("GATEWAY_TEST_FAILPOINTS", "acked:1,skew:1h")
	for _, point := range Points() {
		At(point)
	}
	require.WithinDuration(t, time.Now(), Now(), time.Minute)
	require.False(t, Enabled)
}

func TestPointsAreDistinct(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range Points() {
		require.False(t, seen[p], p)
		seen[p] = true
	}
	require.Len(t, seen, 17)
}
