package publish

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// A client to which Kafka has not answered for long is replaced, again and again.
func TestStuckClientIsReplaced(t *testing.T) {
	t.Parallel()
	p, err := New(Config{
		Brokers: []string{"127.0.0.1:1"}, DeliveryTimeout: time.Second, InFlightLimit: 1 << 20, MaxEventBytes: 1 << 20,
	}, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	require.NoError(t, err)
	p.plain.stuck = time.Millisecond
	p.topics.refreshSoon()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { p.Run(ctx) })
	seen := map[string]bool{}
	require.Eventually(t, func() bool {
		seen[p.plain.current().id] = true
		return len(seen) == 3
	}, patience, tick)
	cancel()
	wg.Wait()
	p.Close(context.Background())
}
