//go:build integration

package idempotency

import (
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/preflight"
	"eventgateway/internal/redis"
	"eventgateway/test/services"
)

// TestMemoryPerClaim holds the figure that `gateway check` and docs/operations.md give for
// a key to what Redis itself counts. GATEWAY_TEST_CLAIMS is how many settled claims to
// write: hash tables double, so that a claim costs up to 16 bytes more right behind a
// power of two than right before it.
func TestMemoryPerClaim(t *testing.T) {
	t.Parallel()
	server, err := services.StartRedis(t.Context(), services.RedisConfig{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	perClaim := memoryPerClaim(t, server.Addr(), bucketCount)
	require.LessOrEqual(t, perClaim, float64(preflight.BytesPerKey))
	require.InEpsilon(t, preflight.BytesPerKey, perClaim, 0.1)
}

// TestMemoryPerClaimInACluster: there Redis also links the keys of each slot.
func TestMemoryPerClaimInACluster(t *testing.T) {
	t.Parallel()
	addrs := startCluster(t, 3)
	rdb := redis.New(redis.Config{Addresses: addrs[:1], Cluster: true})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	cluster, ok := rdb.(*goredis.ClusterClient)
	require.True(t, ok)
	node, err := cluster.MasterForKey(t.Context(), markerKey(0))
	require.NoError(t, err)
	perClaim := memoryPerClaim(t, node.Options().Addr, 1) // bucket 0: a slot of this node
	require.LessOrEqual(t, perClaim, float64(preflight.BytesPerClusterKey))
	require.InEpsilon(t, preflight.BytesPerClusterKey, perClaim, 0.1)
}

// memoryPerClaim settles claims in the first buckets of a server, and returns how much
// more memory each takes.
func memoryPerClaim(t *testing.T, addr string, buckets int) float64 {
	t.Helper()
	n := 200_000
	if text := os.Getenv("GATEWAY_TEST_CLAIMS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	rdb := goredis.NewClient(&goredis.Options{Addr: addr})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	require.NoError(t, settleScript.slot.Load(t.Context(), rdb).Err())

	before := usedMemory(t, rdb)
	for done := 0; done < n; done += maxBatch {
		batch := make([]*settlement, min(maxBatch, n-done))
		for i := range batch {
			batch[i] = settledAsUsual(done + i)
			batch[i].id[0] = byte((done + i) % buckets)
		}
		keys, args := settleArgs(testKeys, batch, time.Hour)
		require.NoError(t, settleScript.slot.EvalSha(t.Context(), rdb, keys, args...).Err())
	}
	size, err := rdb.DBSize(t.Context()).Result()
	require.NoError(t, err)
	require.EqualValues(t, n, size)
	perClaim := float64(usedMemory(t, rdb)-before) / float64(n)
	t.Logf("%d settled claims: %.1f bytes each", n, perClaim)
	return perClaim
}

func usedMemory(t *testing.T, rdb *goredis.Client) int64 {
	t.Helper()
	info, err := rdb.Info(t.Context(), "memory").Result()
	require.NoError(t, err)
	n, err := strconv.ParseInt(parseInfo(info)["used_memory"], 10, 64)
	require.NoError(t, err)
	return n
}

// settledAsUsual settles an event of the samples: an order with a
// number and an Idempotency-Key.
func settledAsUsual(n int) *settlement {
	var id event.ClaimID
	_, _ = rand.Read(id[:])
	key := fmt.Sprintf("c56a4180-65aa-42ec-a945-%012d", n)
	r := event.Receipt{
		ID: "0b54cf5c-5b3b-8e4e-9f0e-2f6f0d6f7a11", Type: "orders.placed", Version: "v2", Topic: "orders.placed",
		Partition: int32(n % 12), Offset: 1_000_000_000 + int64(n), Key: &key, Time: "2026-01-31T12:00:00.123456789Z",
	}
	return &settlement{op: stateSettled, id: id, token: "t", record: recordOf(event.Fingerprint(id), r)}
}
