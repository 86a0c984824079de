//go:build integration

package rate

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/test/services"
)

// patience bounds every wait for something that must happen.
const patience = 20 * time.Second

func inTest() string { return "test" }

// gatewayOn is a Limiter with a connection of its own, as in a process of its own.
func gatewayOn(t *testing.T, addr string) *Limiter {
	t.Helper()
	rdb := goredis.NewClient(&goredis.Options{
		Addr: addr, PoolSize: 16, ContextTimeoutEnabled: true, MaxRetries: 1, DialerRetries: 1,
		DialTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second,
	})
	l := New(Config{Wait: wait}, NewRedis(rdb, inTest), slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	t.Cleanup(func() {
		l.Close()
		require.NoError(t, rdb.Close())
	})
	return l
}

func limitOf(name string, limit Limit) Limits {
	return Limits{Clients: map[string]Limit{name: limit}}
}

// hammer calls all gateways from several goroutines each for a while, and returns
// how many calls were let through.
func hammer(gateways []*Limiter, name string, span, pause time.Duration) (through int64) {
	var count atomic.Int64
	var all sync.WaitGroup
	end := time.Now().Add(span)
	for _, g := range gateways {
		for range 4 {
			all.Go(func() {
				ticker := time.NewTicker(pause)
				defer ticker.Stop()
				for time.Now().Before(end) {
					if g.Take(name, false, 1).Allowed {
						count.Add(1)
					}
					<-ticker.C
				}
			})
		}
	}
	all.Wait()
	return count.Load()
}

// refillsOf is how many refills of a client the gateway has begun.
func (l *Limiter) refillsOf(name string, limit Limit) int {
	c := l.client(name, limit, time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refills
}

func TestTwoGatewaysShareARate(t *testing.T) {
	t.Parallel()
	addr := services.Shared(t).Redis
	const span = 4 * time.Second
	for _, limit := range []Limit{perSecond(2), perSecond(30), perSecond(400), perSecond(2000), {120, time.Minute}} {
		t.Run(limit.key(), func(t *testing.T) { // one after the other: they need the machine
			name := rand.Text()
			gateways := []*Limiter{gatewayOn(t, addr), gatewayOn(t, addr)}
			for _, g := range gateways {
				g.Replace(limitOf(name, limit))
			}
			begun := time.Now()
			through := hammer(gateways, name, span, time.Millisecond)
			took := time.Since(begun)
			held := 0
			if limit.chunk() > 1 {
				held = len(gateways) * 2 * limit.chunk()
			}
			most := float64(limit.Burst()) + limit.over(took) + float64(held)
			alone := testutil.ToFloat64(gateways[0].metrics.alone) + testutil.ToFloat64(gateways[1].metrics.alone)
			t.Logf("%d calls let through in %s; burst + rate x time = %.0f, and %d more may be; %.0f decided alone",
				through, took.Round(time.Millisecond), float64(limit.Burst())+limit.over(took), held, alone)
			// On a machine that stood still, each gateway counted for itself.
			require.LessOrEqual(t, float64(through)-alone, most)
			require.GreaterOrEqual(t, float64(through), 0.85*(float64(limit.Burst())+limit.over(span)))
		})
	}
}

func TestRedisStore(t *testing.T) {
	t.Parallel()
	rdb := goredis.NewClient(&goredis.Options{Addr: services.Shared(t).Redis})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	store, name, limit := NewRedis(rdb, inTest), rand.Text(), Limit{100, time.Minute * 10} // burst 1
	g, err := store.Take(t.Context(), name, limit, 1, 1)
	require.NoError(t, err)
	require.Equal(t, Grant{Tokens: 1}, g)
	g, err = store.Take(t.Context(), name, limit, 1, 1)
	require.NoError(t, err)
	require.Zero(t, g.Tokens)
	require.InDelta(t, 6*time.Second, g.Wait, float64(time.Second))

	name, limit = rand.Text(), Limit{6000, time.Hour} // burst 2, a token in 0.6 s
	g, err = store.Take(t.Context(), name, limit, 1, 1)
	require.NoError(t, err)
	require.Equal(t, 1, g.Tokens)
	require.LessOrEqual(t, g.Left, 1) // Redis rounds down
	g, err = store.Take(t.Context(), name, limit, 2, 1)
	require.NoError(t, err)
	require.Equal(t, 1, g.Tokens, "what there is")
	require.Positive(t, g.Wait)

	keys, err := rdb.Keys(t.Context(), "gw:test:rate:"+name+"*").Result()
	require.NoError(t, err)
	require.Len(t, keys, 1, "below the prefix that the ACL rule grants")
	ttl, err := rdb.TTL(t.Context(), keys[0]).Result()
	require.NoError(t, err)
	require.Positive(t, ttl, "it does not stay forever")
}

func TestRedisStopsAndComesBack(t *testing.T) {
	t.Parallel()
	server, err := services.StartRedis(t.Context(), services.RedisConfig{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	limit := perSecond(200)
	g := gatewayOn(t, server.Addr())
	g.Replace(limitOf("a", limit))
	require.True(t, g.Take("a", false, 1).Allowed)
	require.Zero(t, testutil.ToFloat64(g.metrics.alone))

	for name, c := range map[string]struct{ break_, repair func() error }{
		"stopped": {server.Kill, func() error { return server.Restart(t.Context()) }}, "hanging": {server.Pause, server.Resume},
	} {
		require.NoError(t, c.break_(), name)
		refills, begun := g.refillsOf("a", limit), time.Now()
		through := hammer([]*Limiter{g}, "a", 3*time.Second, time.Millisecond)
		took := time.Since(begun)
		refills = g.refillsOf("a", limit) - refills
		t.Logf("%s: %d calls let through in %s, with %d refills", name, through, took, refills)
		require.LessOrEqual(t, float64(through), float64(limit.Burst())+limit.over(took+wait))
		require.GreaterOrEqual(t, float64(through), 0.85*limit.over(3*time.Second), "this gateway counts alone")
		// The first call waits, for at most [Config.Wait] (TestStoreIsAway). After it the
		// store is tried again once in storeRetry, and no call waits for that.
		require.LessOrEqual(t, refills, int(took/storeRetry)+2)
		require.NoError(t, c.repair(), name)
		require.Eventually(t, func() bool {
			g.Take("a", false, 1)
			return !g.away.Load()
		}, patience, 20*time.Millisecond, name)
	}
}

func TestRedisIsAwayAtFirst(t *testing.T) {
	t.Parallel()
	g := gatewayOn(t, "127.0.0.1:1")
	g.Replace(limitOf("a", perSecond(5)))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range 5 {
		require.True(t, g.Take("a", false, 1).Allowed, i)
		require.NoError(t, ctx.Err())
	}
	require.False(t, g.Take("a", false, 1).Allowed)
}

// The rights that docs/operations.md names are enough.
func TestRedisPermissions(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	rule := regexp.MustCompile("`user gateway on >… ([^`]+)`").FindSubmatch(text)
	require.NotNil(t, rule)
	server, err := services.StartRedis(t.Context(), services.RedisConfig{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	admin := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	args := []any{"ACL", "SETUSER", "gateway", "on", ">p"}
	for _, right := range strings.Fields(string(rule[1])) {
		args = append(args, right)
	}
	require.NoError(t, admin.Do(t.Context(), args...).Err())
	rdb := goredis.NewClient(&goredis.Options{Addr: server.Addr(), Username: "gateway", Password: "p"})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	for range 2 { // the second finds the script
		g, err := NewRedis(rdb, inTest).Take(t.Context(), "a", perSecond(10), 1, 1)
		require.NoError(t, err)
		require.Equal(t, 1, g.Tokens)
	}
}

// Calls of several tokens that have to come first, in Redis.
func TestRedisReserves(t *testing.T) {
	t.Parallel()
	rdb := goredis.NewClient(&goredis.Options{Addr: services.Shared(t).Redis})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	store, l, name := NewRedis(rdb, inTest), Limit{60, time.Minute}, rand.Text()
	wait, err := store.Reserve(t.Context(), name, l, 6)
	require.NoError(t, err)
	require.InDelta(t, 5, wait.Seconds(), 1, "one is there")
	g, err := store.Take(t.Context(), name, l, 1, 1)
	require.NoError(t, err)
	require.Zero(t, g.Tokens, "none are left until then")
	require.Greater(t, g.Wait, 2*time.Second)
	wait, err = store.Reserve(t.Context(), name, l, 11)
	require.NoError(t, err)
	require.Greater(t, wait, LongestWait)
	again, err := store.Reserve(t.Context(), name, l, 11)
	require.NoError(t, err)
	require.LessOrEqual(t, again, wait, "what is refused is not taken")
}
