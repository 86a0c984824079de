//go:build integration

package idempotency

import (
	"context"
	"crypto/rand"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/test/services"
)

// sourceOf returns a script's text, which the library keeps to itself.
func sourceOf(s *goredis.Script) string {
	var c sourceCatcher
	s.Eval(context.Background(), &c, nil)
	return c.source
}

type sourceCatcher struct {
	goredis.Scripter
	source string
}

func (c *sourceCatcher) Eval(ctx context.Context, script string, _ []string, _ ...any) *goredis.Cmd {
	c.source = script
	return goredis.NewCmd(ctx)
}

// BenchmarkInfoReplication asks what it costs that the claim script reads
// master_replid by INFO: one round trip of a whole batch of new claims, with
// the script as it is and with one that is told the id. redis-µs/op is what
// Redis itself counts for the script, info-µs/op for the INFO within.
func BenchmarkInfoReplication(b *testing.B) {
	server, err := services.StartRedis(b.Context(), services.RedisConfig{Dir: b.TempDir()})
	require.NoError(b, err)
	defer func() { require.NoError(b, server.Stop()) }()
	rdb := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	defer func() { require.NoError(b, rdb.Close()) }()
	ctx := b.Context()

	info, err := rdb.Info(ctx, "replication").Result()
	require.NoError(b, err)
	replid := regexp.MustCompile(`master_replid:(\w+)`).FindStringSubmatch(info)[1]
	for bucket := range bucketCount {
		require.NoError(b, rdb.Set(ctx, markerKey(byte(bucket)), "0 "+replid+" run -", 0).Err())
	}
	source := sourceOf(claimScript.slot)
	told := strings.Replace(source, luaReplid, "local replid = ARGV[#ARGV]\n", 1)
	require.NotEqual(b, source, told)

	for _, size := range []int{1, 8, 64} {
		for _, variant := range []struct {
			name   string
			script *goredis.Script
		}{{"INFO", goredis.NewScript(source)}, {"told", goredis.NewScript(told)}} {
			b.Run(fmt.Sprintf("batch=%d/%s", size, variant.name), func(b *testing.B) {
				require.NoError(b, variant.script.Load(ctx, rdb).Err())
				require.NoError(b, rdb.ConfigResetStat(ctx).Err())
				for b.Loop() {
					keys, args := newBatch(size, replid)
					cmd := variant.script.EvalSha(ctx, rdb, keys, args...)
					won, err := cmd.StringSlice()
					if err != nil || len(won) != size+1 || won[0] != "W" {
						b.Fatalf("claims: %v %v", won, err)
					}
				}
				b.ReportMetric(micros(b, rdb, "info"), "info-µs/op") // first: asking is an INFO too
				b.ReportMetric(micros(b, rdb, "evalsha"), "redis-µs/op")
			})
		}
	}
}

// newBatch is a batch of new claims, with the id for the script that is told it.
func newBatch(size int, replid string) ([]string, []any) {
	s := &Store{cfg: Config{TTL: 5 * time.Second, Lease: longLease}} // a short TTL: the server stays small
	calls := make([]*claimCall, size)
	for i := range calls {
		c := event.Claim{Token: freshToken(), Placement: event.Placement{Topic: "orders", Partition: 3, Owner: "gw-1"}}
		_, _ = rand.Read(c.ID[:])
		c.Fingerprint = event.Fingerprint(c.ID)
		calls[i] = &claimCall{claim: c}
	}
	keys, args := s.claimArgs(testKeys, calls, 0, time.Now().UnixMilli())
	return keys, append(args, replid)
}

// micros is Redis' own count of a command's time per call; 0 if it was not called.
func micros(b *testing.B, rdb *goredis.Client, command string) float64 {
	b.Helper()
	stats, err := rdb.Info(b.Context(), "commandstats").Result()
	require.NoError(b, err)
	m := regexp.MustCompile(`cmdstat_` + command + `:calls=\d+,usec=\d+,usec_per_call=([0-9.]+)`).FindStringSubmatch(stats)
	if m == nil {
		return 0
	}
	perCall, err := strconv.ParseFloat(m[1], 64)
	require.NoError(b, err)
	return perCall
}
