//go:build integration

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/test/services"
)

// TestRedisCluster: claims spread over three masters work as on one.
func TestRedisCluster(t *testing.T) {
	addrs := startRedisCluster(t, 3)
	requireOnceOnRedis(t, options{redis: addrs})
	for _, addr := range addrs {
		rdb := redis.NewClient(&redis.Options{Addr: addr})
		t.Cleanup(func() { _ = rdb.Close() })
		n, err := rdb.DBSize(t.Context()).Result()
		require.NoError(t, err)
		require.Positive(t, n, "%s has no claims", addr)
	}
}

// startRedisCluster returns the masters' addresses.
func startRedisCluster(t *testing.T, masters int) []string {
	t.Helper()
	addrs := make([]string, masters)
	for i := range addrs {
		addrs[i] = privateRedis(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "5000").Addr()
	}
	ask := func(addr string, args ...string) (string, error) {
		host, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		out, err := exec.CommandContext(t.Context(), "redis-cli", append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
		return string(out), err
	}
	out, err := ask(addrs[0], append(append([]string{"--cluster", "create"}, addrs...), "--cluster-yes")...)
	require.NoError(t, err, out)
	for _, addr := range addrs {
		eventually(t, patient, "cluster is whole", func() error {
			if out, err := ask(addr, "cluster", "info"); err != nil || !strings.Contains(out, "cluster_state:ok") {
				return fmt.Errorf("%s: %s %w", addr, out, err)
			}
			return nil
		})
	}
	return addrs
}

// requireOnceOnRedis publishes every event through two gateways on the same Redis, and
// requires that it is written once and that the second answer repeats the first.
func requireOnceOnRedis(t *testing.T, o options) []*gateway {
	t.Helper()
	const n, conns = 500, 32
	topic, run := newTopic(t), unique("topology")
	o.schemas = schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": topic}})
	gateways := []*gateway{startGateway(t, o), startGateway(t, o)}
	clients := []*client{newClient(t, gateways[0].addr, conns), newClient(t, gateways[1].addr, conns)}
	orders := newOrders(run, n)
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	first, second := make([]answer, n), make([]answer, n)
	errs := make([]error, 2*n)
	each(conns, n, func(i int) { first[i], errs[i] = clients[i%2].send(orders[i].post("orders.placed")) })
	each(conns, n, func(i int) {
		second[i], errs[n+i] = sendUntilFinal(ctx, clients[1-i%2], orders[i].post("orders.placed"))
	})
	log := readTopic(t, services.Shared(t).Kafka, topic)
	requireCount(t, log.records, n)
	for i, o := range orders {
		require.NoError(t, errs[i])
		require.NoError(t, errs[n+i])
		_, err := log.holds(first[i].receipt(t), o.id, o.body)
		require.NoError(t, err)
		require.False(t, first[i].replayed())
		require.True(t, second[i].replayed(), "%d %s", second[i].status, second[i].body)
		require.Equal(t, string(first[i].body), string(second[i].body))
	}
	return gateways
}

// TestRedisSentinel: the gateway uses the master that the sentinels name, and after its
// death the next one.
func TestRedisSentinel(t *testing.T) {
	master := privateRedis(t)
	replica, err := services.StartRedis(t.Context(), services.RedisConfig{Dir: t.TempDir(), ReplicaOf: master.Addr()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, replica.Kill()) })
	addr := startSentinel(t, master.Addr())
	sentinel := redis.NewSentinelClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = sentinel.Close() })
	eventually(t, patient, "sentinel knows the replica", func() error {
		replicas, err := sentinel.Replicas(t.Context(), "gateways").Result()
		if err == nil && len(replicas) == 0 {
			err = errors.New("none")
		}
		return err
	})
	gateways := requireOnceOnRedis(t, options{
		redis: []string{addr}, master: "gateways", deliveryTimeout: 2 * time.Second, lease: 5 * time.Second,
	})

	require.NoError(t, master.Kill())
	c := newClient(t, gateways[0].addr, 1)
	o := newOrder(unique("failover"), 0)
	begun := time.Now()
	eventually(t, patient, "keyed events are accepted after the failover", func() error {
		a := c.mustSend(t, o.post("orders.placed"))
		if a.status == http.StatusAccepted {
			return nil
		}
		p, err := a.problem()
		require.NoError(t, err)
		require.Contains(t, []string{"503 idempotency-store-unavailable not-written", "409 request-in-progress unknown"}, outcomeOf(p))
		return errors.New(outcomeOf(p))
	})
	t.Logf("failover took %v", time.Since(begun).Round(10*time.Millisecond))
	other := newClient(t, gateways[1].addr, 1)
	eventually(t, patient, "the other gateway has found the new master, and gives the receipt", func() error {
		if a := other.mustSend(t, o.post("orders.placed")); !a.replayed() {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		return nil
	})
}

// startSentinel watches a master under the name "gateways". It returns its address.
func startSentinel(t *testing.T, master string) string {
	t.Helper()
	s, err := services.StartSentinel(t.Context(), services.SentinelConfig{
		Dir: t.TempDir(), Master: master, Name: "gateways",
		Lines: []string{"sentinel down-after-milliseconds gateways 1000", "sentinel failover-timeout gateways 5000"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Kill()) })
	return s.Addr()
}
