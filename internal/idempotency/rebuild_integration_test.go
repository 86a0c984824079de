//go:build integration

package idempotency

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/redis"
	"eventgateway/test/services"
)

// newRedisLab is a real Redis of the test's own.
func newRedisLab(t *testing.T) lab {
	t.Helper()
	return lab{backend: newBackend(startRedis(t), 0), promote: nil}.promotable(t)
}

func startRedis(t testing.TB, args ...string) (addr string) {
	t.Helper()
	server, err := services.StartRedis(t.Context(), services.RedisConfig{Dir: t.TempDir(), Args: args})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server.Addr()
}

// promotable makes promote do what a failover does to who Redis is.
func (l lab) promotable(t *testing.T) lab {
	t.Helper()
	rdb := l.client(t, l.addr)
	l.promote = func(t *testing.T) {
		t.Helper()
		require.NoError(t, rdb.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err())
		require.NoError(t, rdb.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err())
	}
	l.change = func(t *testing.T) {
		t.Helper()
		// What redis-cli --rdb does: a first replica, which is soon gone.
		require.NoError(t, rdb.ConfigSet(t.Context(), "repl-backlog-ttl", "1").Err()) // its end is another change
		// While there is a backlog, of the replica before, another replica changes nothing.
		require.Eventually(t, func() bool {
			return parseInfo(rdb.Info(t.Context(), "replication").Val())["repl_backlog_active"] == "0"
		}, patience, pollEvery)
		before := parseInfo(rdb.Info(t.Context(), "replication").Val())["master_replid"]
		replica, err := net.Dial("tcp", l.addr)
		require.NoError(t, err)
		_, err = replica.Write([]byte("SYNC\r\n"))
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			return parseInfo(rdb.Info(t.Context(), "replication").Val())["master_replid"] != before
		}, patience, pollEvery)
		require.NoError(t, replica.Close())
	}
	return l
}

func TestRebuildOnRedis(t *testing.T) {
	t.Parallel()
	runRebuildConformance(t, newRedisLab, false, true)
}

// TestRebuildOnCluster: scripts stay within a slot, and the loss of one node
// concerns its buckets only.
func TestRebuildOnCluster(t *testing.T) {
	t.Parallel()
	addrs := startCluster(t, 3)
	newGateway := func() *rig {
		r := newRig(t, newBackend(addrs[0], 0), withoutMarkers)
		rdb := redis.New(redis.Config{Addresses: addrs})
		t.Cleanup(func() { require.NoError(t, rdb.Close()) })
		r.scripts.rdb, r.scripts.cluster, r.intervals = rdb, true, shortIntervals
		return r
	}
	r, other := newGateway(), newGateway()
	log := r.written(3000)
	held := func() {
		for _, e := range log.entries {
			text, err := r.scripts.rdb.Get(t.Context(), recordKey(e.Claim)).Result()
			require.NoError(t, err)
			require.Equal(t, recordOf(e.Fingerprint, e.Receipt), text)
		}
	}
	ready := func() {
		require.Eventually(t, func() bool {
			return r.wrong(t) == 0 && counted(t, r.reg, unreadyNow, "")+counted(t, other.reg, unreadyNow, "") == 0
		}, patience, pollEvery)
	}
	r.guard(t, log)
	other.guard(t, &fakeLog{entries: log.entries})
	ready()
	held()
	written := func() int { return counted(t, r.reg, rebuilt, "") + counted(t, other.reg, rebuilt, "") }
	before := written()

	node := goredis.NewClient(&goredis.Options{Addr: addrs[1]})
	t.Cleanup(func() { require.NoError(t, node.Close()) })
	require.NoError(t, node.FlushAll(t.Context()).Err())
	require.NotZero(t, r.wrong(t))
	require.Less(t, r.wrong(t), bucketCount/2)
	ready()
	held()
	require.Less(t, written(), before+len(log.entries)/2)
}

// startCluster returns the masters' addresses.
func startCluster(t testing.TB, masters int) []string {
	t.Helper()
	const slots = 16384
	addrs := make([]string, masters)
	nodes := make([]*goredis.Client, masters)
	for i := range addrs {
		addrs[i] = startRedis(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "5000")
		nodes[i] = goredis.NewClient(&goredis.Options{Addr: addrs[i]})
		t.Cleanup(func() { require.NoError(t, nodes[i].Close()) })
		require.NoError(t, nodes[i].ClusterAddSlotsRange(t.Context(), i*slots/masters, (i+1)*slots/masters-1).Err())
		host, port, err := net.SplitHostPort(addrs[i])
		require.NoError(t, err)
		require.NoError(t, nodes[0].ClusterMeet(t.Context(), host, port).Err())
	}
	for _, node := range nodes {
		require.Eventually(t, func() bool {
			info, err := node.ClusterInfo(t.Context()).Result()
			require.NoError(t, err)
			known, err := node.ClusterShards(t.Context()).Result()
			require.NoError(t, err)
			return len(known) == masters && len(info) > 16 && info[:16] == "cluster_state:ok"
		}, patience, 50*time.Millisecond)
	}
	return addrs
}

// BenchmarkCheck asks what a look at all markers costs, which every gateway does
// every few seconds. redis-µs/op is Redis' own count of its time for one look.
func BenchmarkCheck(b *testing.B) {
	server, err := services.StartRedis(b.Context(), services.RedisConfig{Dir: b.TempDir()})
	require.NoError(b, err)
	defer func() { require.NoError(b, server.Stop()) }()
	rdb := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	defer func() { require.NoError(b, rdb.Close()) }()
	for name, grouped := range map[string]bool{"one server": false, "as on a cluster": true} {
		b.Run(name, func(b *testing.B) {
			s := New(Config{Installation: inTest, TTL: longTTL, Lease: longLease}, rdb, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
			s.scripts.cluster = grouped
			_, err := s.AssertEmpty(b.Context())
			require.NoError(b, err)
			g := &guard{Rebuilder: NewRebuilder(s, nil)}
			g.check(b.Context()) // loads the script
			require.NoError(b, rdb.ConfigResetStat(b.Context()).Err())
			b.ReportAllocs()
			for b.Loop() {
				if wrong, _ := g.check(b.Context()); len(wrong) > 0 {
					b.Fatal("not ready")
				}
			}
			perScript := micros(b, rdb, "evalsha")
			if grouped {
				perScript *= bucketCount
			}
			b.ReportMetric(perScript, "redis-µs/op")
		})
	}
}

// A user who may not share a rebuild, because its permissions are those of a former version,
// rebuilds alone. Types come back nevertheless.
func TestRebuildWithoutPermissionToShare(t *testing.T) {
	t.Parallel()
	l := newRedisLab(t)
	r := l.gateway(t)
	require.NoError(t, r.raw.Do(t.Context(), "ACL", "SETUSER", "default", "-hset", "-hgetall").Err())
	log, unreadable := r.topicsOf(2, 40, "a", "b"), newGate()
	log.held("b", unreadable)
	r.guard(t, log)
	r.mustReturn(t, func() event.Claim { return r.typed("A") })
	r.mustRefuse(t, r.typed("B"))
	close(unreadable.open)
	r.mustBeReady(t)
	r.mustHoldTopics(t, log)
	require.EqualValues(t, 1, log.passes.Load())
}
