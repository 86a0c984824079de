//go:build integration

package idempotency

import (
	"crypto/rand"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/redis"
)

// clusterStore is a store on a Cluster whose buckets are all ready. It knows one address.
func clusterStore(tb testing.TB, addrs []string) (*Store, *goredis.ClusterClient) {
	tb.Helper()
	rdb, ok := redis.New(redis.Config{Addresses: addrs[:1], Cluster: true}).(*goredis.ClusterClient)
	require.True(tb, ok)
	tb.Cleanup(func() { require.NoError(tb, rdb.Close()) })
	s := New(Config{Installation: inTest, TTL: longTTL, Lease: longLease}, rdb, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	_, err := s.AssertEmpty(tb.Context())
	require.NoError(tb, err)
	return s, rdb
}

func someClaims(n int) []event.Claim {
	claims := make([]event.Claim, n)
	for i := range claims {
		claims[i] = event.Claim{
			Fingerprint: event.Fingerprint{1}, Token: freshToken(), Begun: time.Now(),
			Placement: event.Placement{Topic: "orders", Partition: 3, Owner: "gw-1"},
		}
		_, _ = rand.Read(claims[i].ID[:])
	}
	return claims
}

// scriptsRun counts the scripts that the nodes have run.
func scriptsRun(t *testing.T, addrs []string) (calls int) {
	t.Helper()
	for _, addr := range addrs {
		rdb := goredis.NewClient(&goredis.Options{Addr: addr})
		stats, err := rdb.Info(t.Context(), "commandstats").Result()
		require.NoError(t, err)
		require.NoError(t, rdb.Close())
		for _, m := range regexp.MustCompile(`cmdstat_eval(?:sha)?:calls=(\d+)`).FindAllStringSubmatch(stats, -1) {
			n, err := strconv.Atoi(m[1])
			require.NoError(t, err)
			calls += n
		}
	}
	return calls
}

func (s *Store) mustClaimAll(t *testing.T, claims []event.Claim, want event.ClaimState) {
	t.Helper()
	results, errs := s.ClaimAll(t.Context(), claims)
	for i := range claims {
		require.NoError(t, errs[i])
		require.Equal(t, want.String(), results[i].State.String())
	}
}

func (s *Store) settleAll(t *testing.T, claims []event.Claim) {
	t.Helper()
	batch := make([]*settlement, len(claims))
	for i, c := range claims {
		batch[i] = &settlement{op: opSettle, id: c.ID, token: c.Token, record: recordOf(c.Fingerprint, receiptOf(c))}
		batch[i].expires = time.Now().Add(longTTL)
	}
	s.settles.apply(t.Context(), batch)
	require.Empty(t, s.settles.queue, "all are settled")
}

// TestOneScriptForEachNode: a batch of claims on a Cluster takes a script for each node,
// and goes on, a script for each bucket, when slots move.
func TestOneScriptForEachNode(t *testing.T) {
	t.Parallel()
	addrs := startCluster(t, 3)
	s, rdb := clusterStore(t, addrs)
	warm := someClaims(maxBatch) // the nodes learn the scripts
	s.mustClaimAll(t, warm, event.Claimed)
	s.settleAll(t, warm)

	before := scriptsRun(t, addrs)
	claims := someClaims(maxBatch)
	s.mustClaimAll(t, claims, event.Claimed)
	s.mustClaimAll(t, laterAttempts(claims), event.InProgress)
	s.settleAll(t, claims)
	s.mustClaimAll(t, laterAttempts(claims), event.Settled)
	require.Equal(t, 4*len(addrs), scriptsRun(t, addrs)-before)

	const bucket = 7
	moveBucket(t, rdb, addrs, bucket)
	claims = someClaims(maxBatch)
	for i := range 10 {
		claims[i].ID[0] = bucket
	}
	s.mustClaimAll(t, claims, event.Claimed)
	s.settleAll(t, claims)
	s.mustClaimAll(t, laterAttempts(claims), event.Settled)
	require.Positive(t, s.scripts.nodes.perSlot.Load(), "the client learned of the move from a script")
	s.scripts.nodes.perSlot.Store(0)
	require.Eventually(t, func() bool { // once it knows the new order of slots
		before := scriptsRun(t, addrs)
		s.mustClaimAll(t, someClaims(maxBatch), event.Claimed)
		done := scriptsRun(t, addrs)-before == len(addrs)
		s.scripts.nodes.perSlot.Store(0)
		return done
	}, patience, 100*time.Millisecond)
}

func laterAttempts(claims []event.Claim) []event.Claim {
	list := make([]event.Claim, len(claims))
	for i, c := range claims {
		list[i] = again(c)
	}
	return list
}

// moveBucket moves the slot of a bucket to another node, where it is ready as if it were
// rebuilt. The client is not told.
func moveBucket(t *testing.T, cluster *goredis.ClusterClient, addrs []string, bucket byte) {
	t.Helper()
	target := moveKeys(t, cluster, addrs, bucket)
	info, err := target.Info(t.Context(), "replication").Result()
	require.NoError(t, err)
	require.NoError(t, target.Set(t.Context(), markerKey(bucket), "0 "+parseInfo(info)["master_replid"]+" run -", 0).Err())
}

// moveKeys moves a bucket's slot key by key, and returns a client of its new node.
func moveKeys(t *testing.T, cluster *goredis.ClusterClient, addrs []string, bucket byte) *goredis.Client {
	t.Helper()
	ctx, key := t.Context(), markerKey(bucket)
	slot, err := cluster.ClusterKeySlot(ctx, key).Result()
	require.NoError(t, err)
	from, err := cluster.MasterForKey(ctx, key)
	require.NoError(t, err)
	ids := map[string]string{}
	var to string
	for _, addr := range addrs {
		rdb := goredis.NewClient(&goredis.Options{Addr: addr})
		t.Cleanup(func() { _ = rdb.Close() })
		ids[addr], err = rdb.Do(ctx, "CLUSTER", "MYID").Text()
		require.NoError(t, err)
		if addr != from.Options().Addr {
			to = addr
		}
	}
	target := goredis.NewClient(&goredis.Options{Addr: to})
	t.Cleanup(func() { _ = target.Close() })
	require.NoError(t, target.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from.Options().Addr]).Err())
	require.NoError(t, from.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to]).Err())
	keys, err := from.ClusterGetKeysInSlot(ctx, int(slot), 1000).Result()
	require.NoError(t, err)
	for _, k := range keys {
		host, port, _ := net.SplitHostPort(to)
		require.NoError(t, from.Migrate(ctx, host, port, k, 0, time.Second).Err())
	}
	for _, addr := range append([]string{to}, addrs...) {
		rdb := goredis.NewClient(&goredis.Options{Addr: addr})
		require.NoError(t, rdb.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", ids[to]).Err())
		require.NoError(t, rdb.Close())
	}
	return target
}

// BenchmarkClusterBatch is a batch of claims on a Cluster of three, with a script for each
// node and with one for each bucket.
func BenchmarkClusterBatch(b *testing.B) {
	addrs := startCluster(b, 3)
	s, _ := clusterStore(b, addrs)
	for name, perSlot := range map[string]int64{"node": 0, "bucket": time.Now().Add(time.Hour).UnixNano()} {
		b.Run("script for each "+name, func(b *testing.B) {
			s.scripts.nodes.perSlot.Store(perSlot)
			for b.Loop() {
				results, errs := s.ClaimAll(b.Context(), someClaims(maxBatch))
				if errs[0] != nil || results[0].State != event.Claimed {
					b.Fatal(errs[0], results[0])
				}
			}
		})
	}
}
