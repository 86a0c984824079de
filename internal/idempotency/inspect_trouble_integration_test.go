//go:build integration

package idempotency

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/preflight"
	"eventgateway/test/services"
)

// TestInspectTrouble: servers that run, but not well.
func TestInspectTrouble(t *testing.T) {
	t.Parallel()
	t.Run("keys were evicted", func(t *testing.T) {
		t.Parallel()
		addr := ownRedis(t, "--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru").Addr()
		rdb := redis.NewClient(&redis.Options{Addr: addr})
		t.Cleanup(func() { require.NoError(t, rdb.Close()) })
		for n := range 4000 {
			require.NoError(t, rdb.Set(t.Context(), "k"+strconv.Itoa(n), strings.Repeat("x", 1000), 0).Err())
		}
		requireFinding(t, at(addr), preflight.Warning, "redis.evicted", "keys were evicted")
	})
	t.Run("it cannot save", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "gone")
		server, err := services.StartRedis(t.Context(), services.RedisConfig{Dir: dir})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, server.Kill()) })
		do(t, server.Addr(), "CONFIG", "SET", "save", "3600 1")
		require.NoError(t, os.RemoveAll(dir))
		do(t, server.Addr(), "BGSAVE")
		require.Eventually(t, func() bool {
			rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
			defer func() { _ = rdb.Close() }()
			info, err := rdb.Info(t.Context(), "persistence").Result()
			return err == nil && strings.Contains(info, "rdb_last_bgsave_status:err")
		}, patience, pollEvery)
		requireFinding(t, at(server.Addr()), preflight.Error, "redis.address", "could not save: MISCONF")
	})
	t.Run("no more connections", func(t *testing.T) {
		t.Parallel()
		addr := ownRedis(t).Addr()
		held := redis.NewClient(&redis.Options{Addr: addr})
		t.Cleanup(func() { require.NoError(t, held.Close()) })
		conn := held.Conn()
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		require.NoError(t, conn.ConfigSet(t.Context(), "maxclients", "1").Err())
		// It answers and hangs up; which of the two is seen depends on the moment.
		requireFinding(t, at(addr), preflight.Error, "redis.address", "connection")
	})
	t.Run("too old", func(t *testing.T) {
		t.Parallel()
		requireFinding(t, at(claiming(t, ownRedis(t).Addr(), "redis_version:7.", "redis_version:6.")), preflight.Error, "redis.version", "6.")
	})
}

// claiming is a way to a server on which a text is replaced by one that is as long:
// only this version is at hand.
func claiming(t *testing.T, addr, text, by string) string {
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
			go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
			go func() {
				buf := make([]byte, 64<<10) // an INFO comes in one piece
				for {
					n, err := server.Read(buf)
					_, _ = client.Write(bytes.Replace(buf[:n], []byte(text), []byte(by), 1))
					if err != nil {
						_ = client.Close()
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestInspectSentinelTrouble: a master without replicas, sentinels that disagree,
// and a master that is away.
func TestInspectSentinelTrouble(t *testing.T) {
	t.Parallel()
	master, other := ownRedis(t), ownRedis(t)
	one, two := startSentinel(t, master.Addr()), startSentinel(t, other.Addr())
	cfg := ClientConfig{Addresses: []string{one}, Master: "gateways"}
	requireFinding(t, cfg, preflight.Warning, "redis.replicas", "nobody to promote")
	requireFinding(t, ClientConfig{Addresses: []string{one, two}, Master: "gateways"}, preflight.Error, "redis.topology", "name 2 different masters")
	require.NoError(t, master.Kill())
	requireFinding(t, cfg, preflight.Error, "redis.master", "nothing listens there")
}
