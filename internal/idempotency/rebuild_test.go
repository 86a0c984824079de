package idempotency

import "testing"

// TestRebuildOnMiniredis proves the logic; the guarantees are proven by
// TestRebuildOnRedis, which also sends its scripts as to a Cluster: here 256 of
// them in a pipeline take too long.
func TestRebuildOnMiniredis(t *testing.T) {
	t.Parallel()
	runRebuildConformance(t, newMiniLab, false)
}
