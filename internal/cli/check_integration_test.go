//go:build integration

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/idempotency"
	"eventgateway/internal/preflight"
	"eventgateway/internal/redis"
	"eventgateway/test/services"
)

// ownRedis starts a server and returns its address and a configuration with it.
func ownRedis(t *testing.T, args ...string) (addr, yaml string) {
	t.Helper()
	server, err := services.StartRedis(t.Context(), services.RedisConfig{Dir: t.TempDir(), Args: args})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Kill()) })
	return server.Addr(), fmt.Sprintf("auth: none\nhttp: {listen: \"127.0.0.1:0\"}\nredis: {addresses: [%q]}\nkafka: {brokers: [\"127.0.0.1:1\"]}\nschemas: {dir: ../../schemas}\nidempotency: {installation: test}\n", server.Addr())
}

// storeOn is a gateway's store on an empty Redis that is marked ready.
func storeOn(t *testing.T, addr string, lease time.Duration) *idempotency.Store {
	t.Helper()
	rdb := redis.New(redis.Config{Addresses: []string{addr}})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	store := idempotency.New(idempotency.Config{Installation: func() string { return "test" }, TTL: 24 * time.Hour, Lease: lease}, rdb, slog.New(slog.DiscardHandler), idempotency.NewMetrics(prometheus.NewRegistry()))
	_, err := store.AssertEmpty(t.Context())
	require.NoError(t, err)
	return store
}

var figures = regexp.MustCompile(`[0-9]+(\.[0-9]+)?( ms|µs|ms| KiB| MiB| million)`)

// TestCheckRealRedis is a whole report; figures that change are left out.
func TestCheckRealRedis(t *testing.T) {
	t.Parallel()
	addr, yaml := ownRedis(t, "--maxmemory", "100mb", "--appendonly", "yes")
	storeOn(t, addr, 30*time.Second)
	text, list, err := checkOf(t, yaml, nil)
	require.NoError(t, err)
	text = figures.ReplaceAllString(text, "N$2")
	text = regexp.MustCompile(`a million keys take .*`).ReplaceAllString(text, "a million keys take …")
	text = regexp.MustCompile(`is \S+ (ahead of|behind) this`).ReplaceAllString(text, "is N ahead of this")
	text = regexp.MustCompile(`Redis 7\.\S+`).ReplaceAllString(text, "Redis 7.N")
	require.Equal(t, `config
  ok       config.file %DIR%/gateway.yaml: is valid

schemas
  ok       schemas.load ../../schemas: event types: 5, in 6 versions; topics: 5

redis
  ok       redis.topology: one server, without Sentinel and Cluster
  ok       redis.permissions ADDR: the user may run what the gateway's scripts need
  ok       redis.writes ADDR: takes writes, and answers in N ms
  ok       redis.version ADDR: Redis 7.N
  ok       redis.eviction ADDR: maxmemory-policy is noeviction
  ok       redis.maxmemory ADDR: N MiB of maxmemory N MiB are used
  ok       redis.persistence ADDR: append-only file, appendfsync everysec
  ok       redis.memory ADDR: a million keys take …
  ok       redis.claims: all 256 buckets of keys are ready

clock
  ok       clock.redis ADDR: Redis' clock is N ahead of this machine's, give or take N ms

all is as it should be
`, strings.ReplaceAll(text, addr, "ADDR"))
	require.Len(t, list, 12)
}

// TestCheckFlags runs the command itself with all its flags.
func TestCheckFlags(t *testing.T) {
	t.Parallel()
	_, yaml := ownRedis(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	require.NoError(t, os.WriteFile(file, []byte(yaml), 0o600))
	var out, errOut bytes.Buffer
	status := run([]string{"check", "-c", file, "--format", "json", "--timeout", "5s", "--expected-rate", "500"}, &out, &errOut)
	require.Equal(t, 1, status)
	var got struct {
		Findings []preflight.Finding
		Errors   int
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &got), out.String())
	bad := make(map[string]string)
	for _, f := range got.Findings {
		if strings.HasPrefix(f.Check, "redis.") && f.Severity == preflight.Error {
			bad[f.Check] = f.What
		}
	}
	require.Len(t, bad, 2)
	require.Contains(t, bad["redis.eviction"], "allkeys-lru")
	require.Contains(t, bad["redis.memory"], "500 a second are 43.2 million keys, 8.0 GiB: when memory runs out")
}

// TestCheckClock: the gateway's clock is an hour ahead.
func TestCheckClock(t *testing.T) {
	t.Parallel()
	_, yaml := ownRedis(t)
	text, _, err := checkOf(t, yaml, func(c *checker) { c.now = func() time.Time { return time.Now().Add(time.Hour) } })
	require.EqualError(t, err, "1 error")
	require.Regexp(t, `\nclock\n  ERROR    clock.redis \S+: Redis' clock is (1h0m0|59m59)\S* behind this machine's`, text)
}

// TestCheckTimeout: a silent Redis delays the report by the timeout only, and does not
// affect other areas.
func TestCheckTimeout(t *testing.T) {
	t.Parallel()
	addr, yaml := ownRedis(t)
	paused := redis.New(redis.Config{Addresses: []string{addr}})
	t.Cleanup(func() { require.NoError(t, paused.Close()) })
	require.NoError(t, paused.Do(t.Context(), "CLIENT", "PAUSE", "60000", "ALL").Err())
	text, _, err := checkOf(t, yaml, func(c *checker) { c.timeout = 500 * time.Millisecond }) // Redis answers after a minute
	require.EqualError(t, err, "1 error")
	require.Contains(t, text, "redis.address "+addr+": does not answer")
	require.Contains(t, text, "schemas.load")
}

// TestShowRealClaims: a claim that a gateway wrote is found by the key that its client
// sent, in each state.
func TestShowRealClaims(t *testing.T) {
	t.Parallel()
	addr, yaml := ownRedis(t)
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	require.NoError(t, os.WriteFile(file, []byte(yaml), 0o600))
	show := func(status int, args ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		require.Equal(t, status, run(append([]string{"idempotency", "show", "-c", file}, args...), &out, &errOut), errOut.String())
		return out.String()
	}
	require.Contains(t, show(1, "k-1"), "Nothing can be said: claims of this bucket may be lost.")

	store := storeOn(t, addr, 30*time.Second)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		store.Run(ctx, time.Second)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	require.Contains(t, show(1, "k-1"), "state        absent")

	claim := event.Claim{
		ID: event.Identity{Kind: event.IdentityKey, Parts: []string{"k-1"}}.ClaimID("anonymous"), Token: "t-1", Begun: time.Now(),
		Fingerprint: event.NewFingerprint("orders.placed", "", "application/json", []byte("{}")),
		Placement:   event.Placement{Topic: "orders.placed", Partition: 3, Owner: "i-7"},
	}
	standing, err := store.Claim(t.Context(), claim)
	require.NoError(t, err)
	require.Equal(t, event.Claimed, standing.State)
	require.Regexp(t, `lease        (30|29|28)\S* left`, show(0, "k-1"))
	require.Contains(t, show(0, `"k-1"`), "state        claimed: an attempt is under way")
	require.Contains(t, show(1, "k-1", "--client", "web"), "state        absent")

	store.MarkUnknown(claim)
	require.Eventually(t, func() bool { return strings.Contains(show(0, "k-1"), "state        unknown") }, 10*time.Second, 10*time.Millisecond)
	store.Settle(claim, event.Receipt{ID: "e-1", Type: "orders.placed", Version: "v2", Topic: "orders.placed", Partition: 3, Offset: 42, Time: "2026-01-31T03:00:00Z"})
	require.Eventually(t, func() bool {
		return strings.Contains(show(0, "--claim", claim.ID.String()), "written to   orders.placed, partition 3, offset 42\n")
	}, 10*time.Second, 10*time.Millisecond)
	var told map[string]any
	require.NoError(t, json.Unmarshal([]byte(show(0, "k-1", "--format", "json")), &told))
	require.Equal(t, "settled", told["state"])
	require.Equal(t, "ready", told["marker"])
	require.Equal(t, claim.ID.String(), told["claim"])
	require.NotEmpty(t, told["expires_in_ms"])
}
