package idempotency

import (
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/dev"
)

// devBackend is the Redis of `gateway dev`.
func devBackend(t *testing.T) backend {
	t.Helper()
	services, err := dev.Start(dev.Config{KafkaListen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(services.Close)
	return newBackend(services.RedisAddr(), 0)
}

// TestStoreOnMiniredis runs the suite on the Redis of `gateway dev`. It tests the logic;
// TestStoreOnRedis tests the guarantees.
func TestStoreOnMiniredis(t *testing.T) {
	t.Parallel()
	runConformance(t, devBackend(t))
}

// TestRebuildOnMiniredis tests the logic; TestRebuildOnRedis tests the guarantees, and
// also sends the scripts as to a Cluster: here 256 of them in a pipeline take too long.
func TestRebuildOnMiniredis(t *testing.T) {
	t.Parallel()
	runRebuildConformance(t, newMiniLab, false)
}
