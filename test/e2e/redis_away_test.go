//go:build integration

package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

// TestRedisGoesAway: without Redis, keyed events are refused, unless their type
// prefers service to deduplication; unkeyed events do not need Redis.
func TestRedisGoesAway(t *testing.T) {
	redis := privateRedis(t)
	strict, lenient := newTopic(t), newTopic(t)
	g := startGateway(t, options{redis: []string{redis.Addr()}, deliveryTimeout: 2 * time.Second, lease: 5 * time.Second, schemas: schemasFolder(t,
		eventType{name: "strict", xevent: map[string]any{"topic": strict}},
		eventType{name: "lenient", xevent: map[string]any{"topic": lenient, "on_store_failure": "publish"}})})
	c := newClient(t, g.addr, 64)
	orders := newOrders(unique("redis"), 100)
	before := c.mustSend(t, orders[0].post("strict")).receipt(t)

	require.NoError(t, redis.Kill())
	written := 2 // events of the type strict that are in the log: orders[0], and one without a key
	t.Run("dead", func(t *testing.T) {
		requireServiceWithoutRedis(t, g, c, orders[1:25])
		requireWritten(t, strict, written)
		// The gateway still knows what it has just written.
		require.Equal(t, before, c.mustSend(t, orders[0].post("strict")).receipt(t))
	})
	require.NoError(t, redis.Restart(t.Context())) // it is empty, with another replication id
	t.Run("restarted", func(t *testing.T) {
		requireOnceAndReplayed(t, c, orders[1:25])
		written += 24
		requireWritten(t, strict, written)
	})
	require.NoError(t, redis.Pause())
	t.Run("hangs", func(t *testing.T) {
		written++ // without a key
		requireServiceWithoutRedis(t, g, c, orders[25:49])
		requireWritten(t, strict, written)
	})
	require.NoError(t, redis.Resume())
	t.Run("resumed", func(t *testing.T) {
		requireOnceAndReplayed(t, c, orders[25:49])
		requireWritten(t, strict, written+24)
	})
}

// requireServiceWithoutRedis posts keyed events of both types at once, and one
// without a key, and requires that all are answered although Redis stays away.
func requireServiceWithoutRedis(t *testing.T, g *gateway, c *client, orders []order) {
	t.Helper()
	n := len(orders)
	answers := make([]answer, 2*n)
	errs := make([]error, 2*n)
	each(2*n, 2*n, func(i int) {
		p := orders[i/2].post("strict")
		if i%2 == 1 {
			p.eventType, p.key = "lenient", p.key+"-lenient"
		}
		answers[i], errs[i] = c.send(p)
	})
	var slowest time.Duration
	for i, a := range answers {
		require.NoError(t, errs[i])
		slowest = max(slowest, a.took)
		if i%2 == 1 {
			a.receipt(t)
			require.Equal(t, "bypassed", a.header.Get("Idempotency-Status"))
			continue
		}
		p := a.mustBe(t, http.StatusServiceUnavailable, "idempotency-store-unavailable", "not-written")
		require.True(t, p.Retryable)
		require.NotEmpty(t, a.header.Get("Retry-After"))
	}
	asked := g.metric(t, "gateway_claim_batch_size_count")
	unkeyed := c.mustSend(t, post{eventType: "strict", body: orders[0].body})
	unkeyed.receipt(t)
	require.InDelta(t, asked, g.metric(t, "gateway_claim_batch_size_count"), 0, "it claims nothing in Redis")
	t.Logf("slowest answer to keyed events %v, to an unkeyed one %v", slowest.Round(time.Millisecond), unkeyed.took.Round(time.Millisecond))
}

// requireOnceAndReplayed posts each order until it is accepted, and then again.
func requireOnceAndReplayed(t *testing.T, c *client, orders []order) {
	t.Helper()
	first := make([]answer, len(orders))
	each(8, len(orders), func(i int) {
		// A store that hung may have accepted a claim whose answer was lost: that is
		// held until it is released or its lease ends.
		for deadline := time.Now().Add(35 * time.Second); first[i].status != http.StatusAccepted && time.Now().Before(deadline); {
			first[i], _ = c.send(orders[i].post("strict"))
			backoff.Sleep(t.Context(), 50*time.Millisecond)
		}
	})
	for i, o := range orders {
		require.Equal(t, http.StatusAccepted, first[i].status, "%s", first[i].body)
		require.False(t, first[i].replayed())
		second := c.mustSend(t, o.post("strict"))
		require.True(t, second.replayed())
		require.Equal(t, first[i].receipt(t), second.receipt(t))
	}
}

func requireWritten(t *testing.T, topic string, n int) {
	t.Helper()
	requireCount(t, readTopic(t, services.Shared(t).Kafka, topic).records, n)
}
