//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"strings"
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
		requireReadyWithoutRedis(t, g)
		// The gateway still knows what it has just written.
		require.Equal(t, before, c.mustSend(t, orders[0].post("strict")).receipt(t))
	})
	require.NoError(t, redis.Restart(t.Context())) // it is empty, with another replication id
	t.Run("restarted", func(t *testing.T) {
		requireOnceAndReplayed(t, c, orders[1:25])
		requireAllTaken(t, g)
		written += 24
		requireWritten(t, strict, written)
	})
	require.NoError(t, redis.Pause())
	t.Run("hangs", func(t *testing.T) {
		written++ // without a key
		requireServiceWithoutRedis(t, g, c, orders[25:49])
		requireWritten(t, strict, written)
		requireReadyWithoutRedis(t, g)
		requireQuickRefusals(t, c, orders[49:])
	})
	require.NoError(t, redis.Resume())
	t.Run("resumed", func(t *testing.T) {
		requireOnceAndReplayed(t, c, orders[25:49])
		requireWritten(t, strict, written+24)
		requireAllTaken(t, g)
	})
	for _, line := range []string{"redis takes no claims", "redis takes claims again"} {
		require.Equal(t, 2, strings.Count(g.log.String(), line), "once for each outage: %s", line)
	}
}

// requireReadyWithoutRedis requires that the gateway is ready, because events without a
// key, and those of the type lenient, are taken; and that it says what is not taken.
func requireReadyWithoutRedis(t *testing.T, g *gateway) {
	t.Helper()
	eventually(t, patient, "the outage is noticed", func() error {
		r := g.readiness(t)
		if redis := r.Checks["redis"]; redis.OK || redis.Error == "" || !r.Ready {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	r := g.readiness(t)
	require.Equal(t, http.StatusOK, r.status)
	require.Equal(t, "some", r.Types["strict"].Taken)
	require.Contains(t, r.Types["strict"].Why, "events with an idempotency key are refused: Redis takes no claims")
	require.NotContains(t, r.Types, "lenient")
	require.InDelta(t, 0, g.metric(t, "gateway_redis_up"), 0)
}

func requireAllTaken(t *testing.T, g *gateway) {
	t.Helper()
	eventually(t, patient, "all is taken again", func() error {
		if r := g.readiness(t); !r.Ready || len(r.Types) > 0 || !r.Checks["redis"].OK || !r.Checks["claims"].OK {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	require.InDelta(t, 1, g.metric(t, "gateway_redis_up"), 0)
}

// requireQuickRefusals requires that a Redis that hangs costs events no time once that is
// known. One answer is enough to show it: the machine may be busy.
func requireQuickRefusals(t *testing.T, c *client, orders []order) {
	t.Helper()
	quickest := time.Hour
	for _, o := range orders {
		a := c.mustSend(t, o.post("strict"))
		p := a.mustBe(t, http.StatusServiceUnavailable, "idempotency-store-unavailable", "not-written")
		require.True(t, p.Retryable)
		quickest = min(quickest, a.took)
	}
	require.Less(t, quickest, 50*time.Millisecond)
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
