//go:build integration

package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

// gatewayFleet is three gateways under load, on a Redis of their own.
type gatewayFleet struct {
	topic    string
	gateways []*gateway
	loads    []*load
}

const connsOfFleet = 8 // of each gateway

func startGatewayFleet(t *testing.T, o options) *gatewayFleet {
	t.Helper()
	f := &gatewayFleet{topic: newTopic(t)}
	o.prefix, o.plain = unique("fleet"), true
	o.schemas = schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": f.topic}})
	for range 3 {
		f.gateways = append(f.gateways, startGateway(t, o))
	}
	for _, g := range f.gateways {
		f.loads = append(f.loads, startLoad(t, g.addr, "orders.placed", connsOfFleet, false))
	}
	return f
}

// lines counts log lines of all gateways that have this text.
func (f *gatewayFleet) lines(text string) (n int) {
	for _, g := range f.gateways {
		n += strings.Count(g.log.String(), text)
	}
	return n
}

// during does something to Redis. It returns for how long some gateway took no keyed
// event, and how many rebuilds there were.
func (f *gatewayFleet) during(t *testing.T, name string, disturb func()) (rebuilds int) {
	t.Helper()
	const settled = 4 * time.Second // so long each takes events afterwards, without a pause of a second
	backoff.Sleep(t.Context(), 3*time.Second)
	before := f.lines("idempotency store rebuilt")
	begun, accepted := time.Now(), f.accepted()
	done := make(chan struct{})
	go func() {
		defer close(done)
		disturb()
	}()
	last, lastTaken := make([]int64, len(f.loads)), make([]time.Time, len(f.loads))
	var refused time.Duration
	var ended time.Time // of the disturbance
	steady := time.Now()
	require.Eventually(t, func() bool {
		now := time.Now()
		select {
		case <-done:
			if ended.IsZero() {
				ended, steady = now, now
			}
		default:
		}
		for i, l := range f.loads {
			if n := l.accepted.Load(); n != last[i] || lastTaken[i].IsZero() {
				last[i], lastTaken[i] = n, now
			}
			refused = max(refused, now.Sub(lastTaken[i]))
			if now.Sub(lastTaken[i]) > time.Second {
				steady = now
			}
		}
		return !ended.IsZero() && now.Sub(steady) > settled
	}, 2*patient, 10*time.Millisecond)
	rebuilds = f.lines("idempotency store rebuilt") - before
	t.Logf("%s: keyed events refused for %v, %d rebuilds, disturbed for %v, %d events/s", name, refused.Round(10*time.Millisecond), rebuilds,
		ended.Sub(begun).Round(10*time.Millisecond), int(float64(f.accepted()-accepted)/time.Since(begun).Seconds()))
	return rebuilds
}

func (f *gatewayFleet) accepted() (n int64) {
	for _, l := range f.loads {
		n += l.accepted.Load()
	}
	return n
}

// mustHaveWrittenOnce ends the load, and requires that each event is written once, and
// known by another gateway.
func (f *gatewayFleet) mustHaveWrittenOnce(t *testing.T) {
	t.Helper()
	var all []*tracked
	for i, l := range f.loads {
		events := l.end()
		other := newClient(t, f.gateways[(i+1)%len(f.gateways)].addr, connsOfFleet)
		finish(t, other, "orders.placed", connsOfFleet, events, 2*patient)
		all = append(all, events...)
	}
	requireLogKeepsTheContract(t, readTopic(t, services.Shared(t).Kafka, f.topic), all)
	again := newClient(t, f.gateways[0].addr, connsOfFleet)
	const sample = 500
	for i := 0; i < len(all); i += max(1, len(all)/sample) {
		a := again.mustSend(t, all[i].post("orders.placed"))
		require.True(t, a.replayed(), "%d %s", a.status, a.body)
	}
}

// TestRedisChangesAndLoses: what happens to a Redis every day costs keyed events seconds,
// and what loses nothing is not followed by a rebuild.
func TestRedisChangesAndLoses(t *testing.T) {
	dir := t.TempDir()
	r, err := services.StartRedis(t.Context(), services.RedisConfig{Dir: dir, Args: []string{"--appendonly", "yes", "--appendfsync", "everysec"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Kill()) })
	f := startGatewayFleet(t, options{redis: []string{r.Addr()}})
	host, port, err := net.SplitHostPort(r.Addr())
	require.NoError(t, err)
	cli := func(args ...string) {
		out, err := exec.CommandContext(t.Context(), "redis-cli", append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	cli("CONFIG", "SET", "repl-backlog-ttl", "2")
	require.Zero(t, f.during(t, "a backup", func() { cli("--rdb", filepath.Join(t.TempDir(), "backup.rdb")) }))
	require.Zero(t, f.during(t, "a replica comes and goes, and its backlog ends", func() {
		replica, err := services.StartRedis(t.Context(), services.RedisConfig{Dir: t.TempDir(), ReplicaOf: r.Addr()})
		require.NoError(t, err)
		require.NoError(t, replica.Kill())
		backoff.Sleep(t.Context(), 4*time.Second)
	}))
	require.Positive(t, f.during(t, "a restart with AOF", func() {
		require.NoError(t, r.Kill())
		require.NoError(t, r.Restart(t.Context()))
	}))
	require.Positive(t, f.during(t, "an AOF that loses a second", func() {
		files, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.incr.aof"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		file := files[len(files)-1]
		before, err := os.Stat(file)
		require.NoError(t, err)
		backoff.Sleep(t.Context(), time.Second)
		require.NoError(t, r.Kill())
		require.NoError(t, os.Truncate(file, before.Size()))
		require.NoError(t, r.Restart(t.Context()))
	}))
	require.Positive(t, f.during(t, "FLUSHALL", func() { cli("FLUSHALL") }))
	f.mustHaveWrittenOnce(t)
}

// TestRedisFailsOver: a promotion costs keyed events seconds, also of a replica that lacks
// some.
func TestRedisFailsOver(t *testing.T) {
	for name, lossy := range map[string]bool{"nothing is lost": false, "two seconds are lost": true} {
		t.Run(name, func(t *testing.T) {
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
					err = errExited
				}
				return err
			})
			f := startGatewayFleet(t, options{redis: []string{addr}, master: "gateways"})
			require.Positive(t, f.during(t, "a failover, "+name, func() {
				if lossy {
					rdb := redis.NewClient(&redis.Options{Addr: replica.Addr()})
					require.NoError(t, rdb.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err()) // it hears no more
					_ = rdb.Close()
					backoff.Sleep(t.Context(), 2*time.Second)
				}
				require.NoError(t, master.Kill())
			}))
			f.mustHaveWrittenOnce(t)
		})
	}
}
