//go:build integration

package idempotency

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/preflight"
	"eventgateway/internal/redis"
	"eventgateway/test/services"
)

// TestInspectTrouble inspects servers that run, but have a problem.
func TestInspectTrouble(t *testing.T) {
	t.Parallel()
	t.Run("keys were evicted", func(t *testing.T) {
		t.Parallel()
		addr := ownRedis(t, "--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru").Addr()
		rdb := goredis.NewClient(&goredis.Options{Addr: addr})
		t.Cleanup(func() { require.NoError(t, rdb.Close()) })
		for n := range 4000 {
			require.NoError(t, rdb.Set(t.Context(), "k"+strconv.Itoa(n), strings.Repeat("x", 1000), 0).Err())
		}
		requireFinding(t, at(addr), preflight.Warning, "redis.evicted", "keys were evicted")
	})
	t.Run("it cannot save", func(t *testing.T) {
		t.Parallel()
		addr, breakDisk := mortalRedis(t)
		breakDisk()
		requireFinding(t, at(addr), preflight.Error, "redis.address", "could not save: MISCONF")
	})
	t.Run("it cannot save while it is looked at", func(t *testing.T) {
		t.Parallel()
		addr, breakDisk := mortalRedis(t)
		var once sync.Once
		through := between(t, addr, func(request []byte) {
			if bytes.Contains(request, []byte("time\r\n")) { // it has answered, and the probe is about to follow
				once.Do(breakDisk)
			}
		}, nil)
		requireFinding(t, at(through), preflight.Error, "redis.writes", "refuses writes: MISCONF")
	})
	t.Run("it still loads", func(t *testing.T) {
		t.Parallel()
		requireFinding(t, at(loadingRedis(t)), preflight.Error, "redis.address", "still reads its data from disk")
	})
	t.Run("it has lost its master", func(t *testing.T) {
		t.Parallel()
		addr := ownRedis(t, "--replica-serve-stale-data", "no").Addr()
		do(t, addr, "REPLICAOF", "127.0.0.1", "1")
		requireFinding(t, at(addr), preflight.Error, "redis.address", "cannot be asked: MASTERDOWN")
	})
	t.Run("hardly room for what will come", func(t *testing.T) {
		t.Parallel()
		cfg := at(ownRedis(t, "--maxmemory", "100mb").Addr())
		needs := needs
		needs.ExpectedRate = 0.9 * 100e6 / preflight.BytesPerKey / needs.TTL.Seconds()
		requireFindingFor(t, cfg, needs, preflight.Warning, "redis.memory", "which is nearly all")
		needs.ExpectedRate *= 2
		requireFindingFor(t, cfg, needs, preflight.Error, "redis.memory", "when memory runs out")
	})
	t.Run("no more connections", func(t *testing.T) {
		t.Parallel()
		addr := ownRedis(t).Addr()
		held := goredis.NewClient(&goredis.Options{Addr: addr})
		t.Cleanup(func() { require.NoError(t, held.Close()) })
		conn := held.Conn()
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		require.NoError(t, conn.ConfigSet(t.Context(), "maxclients", "1").Err())
		requireFinding(t, at(addr), preflight.Error, "redis.address", "takes no more connections: ERR max number of clients reached")
	})
	t.Run("says something else", func(t *testing.T) {
		t.Parallel()
		addr := ownRedis(t).Addr()
		for text, c := range map[string]struct {
			instead  string
			severity preflight.Severity
			check    string
			what     string
		}{
			"redis_version:7.":  {"redis_version:6.", preflight.Error, "redis.version", "Redis 6."},
			"redis_version:":    {"redis_version:v", preflight.Warning, "redis.version", "cannot be read"},
			"maxmemory_policy:": {"maxmemory_pol1cy:", preflight.Warning, "redis.eviction", "does not say its maxmemory-policy"},
			"total_system_memo": {"total_sYstem_memo", preflight.Warning, "redis.memory", "does not say how much memory it may use"},
		} {
			requireFinding(t, at(claiming(t, addr, text, c.instead)), c.severity, c.check, c.what)
		}
	})
}

// mortalRedis is a server whose disk can be taken away: its next save fails.
func mortalRedis(t *testing.T) (addr string, breakDisk func()) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "gone")
	server, err := services.StartRedis(t.Context(), services.RedisConfig{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Kill()) })
	do(t, server.Addr(), "CONFIG", "SET", "save", "3600 1")
	return server.Addr(), func() {
		require.NoError(t, os.RemoveAll(dir))
		do(t, server.Addr(), "BGSAVE")
		require.Eventually(t, func() bool {
			rdb := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
			defer func() { _ = rdb.Close() }()
			info, err := rdb.Info(t.Context(), "persistence").Result()
			return err == nil && strings.Contains(info, "rdb_last_bgsave_status:err")
		}, patience, pollEvery)
	}
}

// loadingRedis is a server that was started again and takes 20 s to read its data:
// key-load-delay is in microseconds for each key. Meanwhile it looks at its
// connections every few keys.
func loadingRedis(t *testing.T) string {
	t.Helper()
	server := ownRedis(t, "--save", "3600 1", "--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024")
	rdb := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	defer func() { require.NoError(t, rdb.Close()) }()
	_, err := rdb.Pipelined(t.Context(), func(pipe goredis.Pipeliner) error {
		for n := range 10_000 {
			pipe.Set(t.Context(), "k"+strconv.Itoa(n), strings.Repeat("x", 100), 0)
		}
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, rdb.Save(t.Context()).Err())
	require.NoError(t, server.Kill())
	require.NoError(t, server.Launch())
	require.Eventually(t, func() bool { // at first it does not listen
		return goredis.IsLoadingError(rdb.Ping(t.Context()).Err())
	}, patience, pollEvery)
	return server.Addr()
}

// claiming is a proxy of a server that replaces a text in the answers by another: only
// this version of Redis is at hand.
func claiming(t *testing.T, addr, text, by string) string {
	t.Helper()
	return between(t, addr, nil, func(answer []byte) []byte {
		return bytes.Replace(answer, []byte(text), []byte(by), 1)
	})
}

// between is a proxy of a server that shows requests before they get there, and changes
// answers; either function may be nil.
func between(t *testing.T, addr string, seen func(request []byte), changed func(answer []byte) []byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", addr)
			if err != nil {
				_ = client.Close()
				return
			}
			go pass(client, server, func(b []byte) []byte {
				if seen != nil {
					seen(b)
				}
				return b
			})
			go pass(server, client, func(b []byte) []byte {
				if changed != nil {
					return changed(b)
				}
				return b
			})
		}
	}()
	return l.Addr().String()
}

// pass copies until one side ends, and then ends the other.
func pass(from, to net.Conn, through func([]byte) []byte) {
	defer func() { _ = to.Close() }()
	buf := make([]byte, 64<<10) // a request, and an INFO, come in one piece
	for {
		n, err := from.Read(buf)
		if _, failed := to.Write(through(buf[:n])); failed != nil || err != nil {
			return
		}
	}
}

// TestInspectSentinelTrouble: a master without replicas, sentinels that disagree,
// and a master that is away.
func TestInspectSentinelTrouble(t *testing.T) {
	t.Parallel()
	master, other := ownRedis(t), ownRedis(t)
	one, two := startSentinel(t, master.Addr()), startSentinel(t, other.Addr())
	cfg := redis.Config{Addresses: []string{one}, Master: "gateways"}
	requireFinding(t, cfg, preflight.Warning, "redis.replicas", "nobody to promote")
	requireFinding(t, redis.Config{Addresses: []string{one, two}, Master: "gateways"}, preflight.Error, "redis.topology", "name 2 different masters")
	require.NoError(t, master.Kill())
	requireFinding(t, cfg, preflight.Error, "redis.master", "nothing listens there")
}
