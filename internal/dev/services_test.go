package dev

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// patience bounds every wait for something that must happen.
	patience  = 20 * time.Second
	pollEvery = 5 * time.Millisecond
	anyPort   = "127.0.0.1:0"
)

func mustStart(t *testing.T, cfg Config) *Services {
	t.Helper()
	s, err := Start(cfg)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func redisClient(t *testing.T, s *Services) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: s.RedisAddr()})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

func kafkaClient(t *testing.T, s *Services, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(s.KafkaAddr()))...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func createTopic(t *testing.T, c *kgo.Client, topic string) {
	t.Helper()
	_, err := kadm.NewClient(c).CreateTopic(t.Context(), 1, 1, nil, topic)
	require.NoError(t, err)
}

func produce(t *testing.T, c *kgo.Client, r *kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, c.ProduceSync(ctx, r).FirstErr())
}

func TestServicesStartAndClose(t *testing.T) {
	t.Parallel()
	s := mustStart(t, Config{KafkaListen: anyPort})
	addresses := []string{s.KafkaAddr(), s.RedisAddr()}
	for _, addr := range addresses {
		host, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		require.Equal(t, "127.0.0.1", host, "nobody else may connect")
		require.NotEqual(t, "0", port)
	}
	require.NoError(t, redisClient(t, s).Ping(t.Context()).Err())
	require.NoError(t, kafkaClient(t, s).Ping(t.Context()))

	s.Close()
	for _, addr := range addresses {
		_, err := net.Dial("tcp", addr)
		require.Error(t, err, "%s still answers", addr)
	}
	s.Close() // once more does no harm
}

func TestServicesRunSideBySide(t *testing.T) {
	t.Parallel()
	a, b := mustStart(t, Config{KafkaListen: anyPort}), mustStart(t, Config{KafkaListen: anyPort})
	require.NotEqual(t, a.KafkaAddr(), b.KafkaAddr())
	require.NotEqual(t, a.RedisAddr(), b.RedisAddr())
	require.NoError(t, redisClient(t, a).Set(t.Context(), "k", "v", 0).Err())
	require.ErrorIs(t, redisClient(t, b).Get(t.Context(), "k").Err(), redis.Nil)
}

func TestStartFailures(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", anyPort)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, taken.Close()) })
	for name, listen := range map[string]string{"port taken": taken.Addr().String(), "no address": "nowhere"} {
		t.Run(name, func(t *testing.T) {
			_, err := Start(Config{KafkaListen: listen})
			require.ErrorContains(t, err, "start embedded kafka on "+listen)
		})
	}
}

func TestRedisKeysExpire(t *testing.T) {
	t.Parallel()
	rdb := redisClient(t, mustStart(t, Config{KafkaListen: anyPort}))
	require.NoError(t, rdb.Set(t.Context(), "short", "v", 1500*time.Millisecond).Err())
	require.NoError(t, rdb.Set(t.Context(), "long", "v", time.Hour).Err())
	require.NoError(t, rdb.Get(t.Context(), "short").Err())
	require.Eventually(t, func() bool { return rdb.Exists(t.Context(), "short").Val() == 0 }, patience, pollEvery)
	require.NoError(t, rdb.Get(t.Context(), "long").Err())
}

// The claim scripts read master_replid by INFO, and Redis' clock by TIME.
func TestRedisInLua(t *testing.T) {
	t.Parallel()
	rdb := redisClient(t, mustStart(t, Config{KafkaListen: anyPort}))
	for _, section := range []string{"replication", "Replication"} {
		text, err := rdb.Eval(t.Context(), `return redis.call('INFO', ARGV[1])`, nil, section).Text()
		require.NoError(t, err)
		require.Regexp(t, `(?m)^master_replid:[0-9a-f]{40}\r$`, text)
	}
	direct, err := rdb.Info(t.Context(), "replication").Result()
	require.NoError(t, err)
	require.Contains(t, direct, "role:master")

	clients, err := rdb.Info(t.Context(), "clients").Result()
	require.NoError(t, err, "other sections are miniredis' own")
	require.NotContains(t, clients, "master_replid")

	seconds, err := rdb.Eval(t.Context(), `return tonumber(redis.call('TIME')[1])`, nil).Int64()
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), time.Unix(seconds, 0), patience)
}

func TestRecordsAreKeptInDataDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := mustStart(t, Config{KafkaListen: anyPort, DataDir: dir})
	c := kafkaClient(t, first)
	createTopic(t, c, "orders")
	for _, value := range []string{"a", "b"} {
		produce(t, c, &kgo.Record{Topic: "orders", Key: []byte("k"), Value: []byte(value)})
	}
	c.Close()
	first.Close()

	second := mustStart(t, Config{KafkaListen: anyPort, DataDir: dir})
	reader := kafkaClient(t, second, kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	produce(t, reader, &kgo.Record{Topic: "orders", Value: []byte("c")})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var values []string
	for len(values) < 3 {
		fetches := reader.PollFetches(ctx)
		require.NoError(t, fetches.Err0())
		fetches.EachRecord(func(r *kgo.Record) {
			require.Equal(t, int64(len(values)), r.Offset)
			values = append(values, string(r.Value))
		})
	}
	require.Equal(t, []string{"a", "b", "c"}, values)
}

// sink is what Watch writes to.
type sink struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *sink) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Split(strings.TrimSuffix(s.text.String(), "\n"), "\n")
}

func TestWatchPrintsWhatLandsFromNowOn(t *testing.T) {
	t.Parallel()
	s := mustStart(t, Config{KafkaListen: anyPort})
	c := kafkaClient(t, s)
	createTopic(t, c, "orders")
	produce(t, c, &kgo.Record{Topic: "orders", Key: []byte("old"), Timestamp: time.Now().Add(-time.Minute)})

	ctx, cancel := context.WithCancel(t.Context())
	var out sink
	watched := make(chan error, 1)
	go func() { watched <- Watch(ctx, s.KafkaAddr(), &out) }()

	now := time.Now().Add(time.Second)
	produce(t, c, &kgo.Record{
		Topic: "orders", Key: []byte("o-1"), Timestamp: now,
		Headers: []kgo.RecordHeader{{Key: "ce_type", Value: []byte("x")}, {Key: "ce_id", Value: []byte("e-1")}},
	})
	want := now.Format("15:04:05.000") + "  orders[0]@1  key=o-1  id=e-1"
	require.Eventually(t, func() bool { return strings.Contains(strings.Join(out.lines(), "\n"), want) }, patience, pollEvery)

	// Topics that come later are watched too, internal ones are not.
	createTopic(t, c, "_internal")
	produce(t, c, &kgo.Record{Topic: "_internal", Key: []byte("secret")})
	createTopic(t, c, "payments")
	produce(t, c, &kgo.Record{Topic: "payments", Timestamp: now})
	require.Eventually(t, func() bool { return len(out.lines()) == 2 }, patience, pollEvery)
	require.Equal(t, []string{want, now.Format("15:04:05.000") + "  payments[0]@0  key=(none)  id="}, out.lines())

	cancel()
	select {
	case err := <-watched:
		require.NoError(t, err)
	case <-time.After(patience):
		require.FailNow(t, "still watching")
	}
}

func TestWatchRefusesABadAddress(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, Watch(t.Context(), "127.0.0.1:port", &sink{}), "watch records")
}
