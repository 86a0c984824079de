package idempotency

import "testing"

// TestRebuildOnMiniredis tests the logic; TestRebuildOnRedis tests the guarantees, and
// also sends the scripts as to a Cluster: here 256 of them in a pipeline take too long.
func TestRebuildOnMiniredis(t *testing.T) {
	t.Parallel()
	runRebuildConformance(t, newMiniLab, false)
}
