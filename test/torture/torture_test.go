//go:build integration

package torture

import (
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/failpoint"
)

// seed repeats a schedule: go test -tags integration ./test/torture -torture.seed=42.
var seed = flag.Uint64("torture.seed", 0, "schedule of the faults; 0 chooses one")

// TestTortureShort is the part of the torture suite that `make test` runs, about 80 s
// for each guarantee. `make torture` is the whole suite. Not parallel: one run keeps
// two cores busy.
func TestTortureShort(t *testing.T) {
	for _, guarantee := range []string{idempotent, transactional} {
		t.Run(guarantee, func(t *testing.T) {
			o := Defaults()
			o.Seed, o.Guarantee, o.Out = *seed, guarantee, t.Output()
			o.Duration, o.Race, o.Rate = 60*time.Second, true, 200
			result, err := Run(t.Context(), o)
			require.NoError(t, err)
			require.Empty(t, result.Violations, "repeat with -torture.seed=%d; see %s", result.Seed, result.Folder)
			require.Greater(t, result.Accepted, 500, "the machine is too busy to prove anything")
			for _, kind := range []string{"single", "keyed batch", "batch", "stripe", "fan-out", "dead letter", noteType, scanType} {
				require.Positive(t, result.By[kind], kind)
			}
			require.NotEmpty(t, result.Faults)
		})
	}
}

// TestTortureOutboxShort does the same with the relays of an outbox, about half a minute
// for each reader.
func TestTortureOutboxShort(t *testing.T) {
	for _, reader := range []string{readPoll, readWAL} {
		t.Run(reader, func(t *testing.T) {
			o := Defaults()
			o.Seed, o.Outbox, o.Out = *seed, reader, t.Output()
			o.Duration, o.Race, o.Rate = 8*time.Second, true, 200
			o.Only = []string{"gateway-kill", "gateway-crash", "database-kill", "database-cut", "kafka-cut", "broker-kill", "redis-cut", "slot-drop"}
			o.Points = failpoint.OutboxPoints()
			result, err := Run(t.Context(), o)
			require.NoError(t, err)
			require.Empty(t, result.Violations, "repeat with -torture.seed=%d; see %s", result.Seed, result.Folder)
			require.Greater(t, result.Accepted, 200, "the machine is too busy to prove anything")
			require.NotEmpty(t, result.Faults)
		})
	}
}

// TestTortureSubscriptionsShort does the same with gateways that push events to an endpoint,
// about half a minute.
func TestTortureSubscriptionsShort(t *testing.T) {
	o := Defaults()
	o.Seed, o.Subscriptions, o.Gateways, o.Out = *seed, true, 3, t.Output()
	o.Duration, o.Race, o.Rate = 9*time.Second, true, 200
	o.Only = []string{"gateway-kill", "gateway-leave", "dead-letters-refused", "endpoint-404", "endpoint-resets", "kafka-cut"}
	result, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Empty(t, result.Violations, "repeat with -torture.seed=%d; see %s", result.Seed, result.Folder)
	require.Greater(t, result.By["delivered"], 500, "the machine is too busy to prove anything")
	require.NotEmpty(t, result.Faults)
}
