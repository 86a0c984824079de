//go:build integration

package services

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// brief bounds a request that must not be answered.
const brief = 700 * time.Millisecond

// patient bounds a request that must be answered.
const patient = 30 * time.Second

func kafkaClient(t *testing.T, addrs string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(strings.Split(addrs, ",")...))...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return cl
}

func produce(t *testing.T, cl *kgo.Client, limit time.Duration, topic, value string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr()
}

// consume returns the values of the topic's first n records.
func consume(t *testing.T, addrs, topic string, n int) []string {
	t.Helper()
	cl := kafkaClient(t, addrs, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	var values []string
	for len(values) < n {
		fetches := cl.PollFetches(ctx)
		require.NoError(t, fetches.Err0())
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

func createTopic(t *testing.T, cl *kgo.Client, replicas int16, topic string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	_, err := kadm.NewClient(cl).CreateTopic(ctx, 1, replicas, nil, topic)
	require.NoError(t, err)
}

// TestOldKafka checks the version by the protocol that the broker speaks.
func TestOldKafka(t *testing.T) {
	t.Parallel()
	began := time.Now()
	k, err := StartOldKafka(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Kill()) })
	t.Logf("start took %v", time.Since(began))
	cl := kafkaClient(t, k.Addr())
	createTopic(t, cl, 1, "orders")
	require.NoError(t, produce(t, cl, patient, "orders", "old"))
	require.Equal(t, []string{"old"}, consume(t, k.Addr(), "orders", 1))
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	versions, err := kadm.NewClient(cl).ApiVersions(ctx)
	require.NoError(t, err)
	broker := versions[1]
	most, ok := broker.KeyMaxVersion(3)
	require.True(t, ok)
	require.EqualValues(t, 7, most, "Metadata of Kafka 2.3 has version 8")
}

func TestSentinelFollowsItsMaster(t *testing.T) {
	t.Parallel()
	master, err := StartRedis(t.Context(), RedisConfig{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, master.Kill()) })
	s, err := StartSentinel(t.Context(), SentinelConfig{Dir: t.TempDir(), Master: master.Addr(), Name: "gateways"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Kill()) })
	require.NoError(t, s.Restart(t.Context()), "with the configuration that it has rewritten")
	client := redis.NewSentinelClient(&redis.Options{Addr: s.Addr()})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	named, err := client.GetMasterAddrByName(t.Context(), "gateways").Result()
	require.NoError(t, err)
	require.Equal(t, master.Addr(), net.JoinHostPort(named[0], named[1]))
}

func TestKafkaPausesAndSurvivesAKill(t *testing.T) {
	t.Parallel()
	began := time.Now()
	k, err := StartKafka(t.Context(), KafkaConfig{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Kill()) })
	t.Logf("start took %v", time.Since(began))

	cl := kafkaClient(t, k.Addr())
	createTopic(t, cl, 1, "orders")
	require.NoError(t, produce(t, cl, patient, "orders", "before"))

	require.NoError(t, k.Pause())
	require.Error(t, produce(t, kafkaClient(t, k.Addr()), brief, "orders", "while paused"))
	require.NoError(t, k.Resume())
	require.NoError(t, produce(t, kafkaClient(t, k.Addr()), patient, "orders", "resumed"))

	old := k.current().id
	require.NoError(t, k.Kill())
	require.False(t, old.alive())
	require.Error(t, produce(t, kafkaClient(t, k.Addr()), brief, "orders", "while dead"))

	address := k.Addr()
	began = time.Now()
	require.NoError(t, k.Restart(t.Context()))
	t.Logf("restart after kill took %v", time.Since(began))
	require.Equal(t, address, k.Addr())
	require.NoError(t, produce(t, kafkaClient(t, k.Addr()), patient, "orders", "after"))
	require.Equal(t, []string{"before", "resumed", "after"}, consume(t, k.Addr(), "orders", 3))

	began = time.Now()
	require.NoError(t, k.Stop())
	t.Logf("orderly stop took %v", time.Since(began))
	require.False(t, k.current().id.alive())
}

// Not parallel: it keeps two cores busy by itself.
func TestKafkaClusterLosesANode(t *testing.T) {
	began := time.Now()
	c, err := StartKafkaCluster(t.Context(), 3, KafkaConfig{Dir: t.TempDir(), JVMArgs: []string{"-Xmx256m"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop()) })
	t.Logf("start took %v", time.Since(began))

	cl := kafkaClient(t, c.Addr(), kgo.RequiredAcks(kgo.AllISRAcks()))
	createTopic(t, cl, 3, "orders")
	require.NoError(t, produce(t, cl, patient, "orders", "three nodes"))
	require.NoError(t, c.Nodes[0].Kill())
	require.NoError(t, produce(t, cl, patient, "orders", "two nodes"))
	began = time.Now()
	require.NoError(t, c.Nodes[0].Restart(t.Context()))
	t.Logf("rejoin after kill took %v", time.Since(began))
	require.Equal(t, []string{"three nodes", "two nodes"}, consume(t, c.Nodes[0].Addr(), "orders", 2))
}

func TestKafkaErrorCarriesTheLog(t *testing.T) {
	t.Parallel()
	_, err := StartKafka(t.Context(), KafkaConfig{Dir: t.TempDir(), JVMArgs: []string{"-Xmx16m", "-XX:+ExitOnOutOfMemoryError"}})
	require.ErrorContains(t, err, "process ended")
	require.ErrorContains(t, err, "OutOfMemoryError")
}

func redisClient(t *testing.T, addr string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func TestRedisPausesAndSurvivesAKill(t *testing.T) {
	t.Parallel()
	r, err := StartRedis(t.Context(), RedisConfig{Dir: t.TempDir(), Args: []string{"--appendonly", "yes", "--appendfsync", "always"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Stop()) })
	require.NoError(t, redisClient(t, r.Addr()).Set(t.Context(), "k", "before", 0).Err())

	require.NoError(t, r.Pause())
	ctx, cancel := context.WithTimeout(t.Context(), brief)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: r.Addr(), MaxRetries: -1, ContextTimeoutEnabled: true})
	defer client.Close()
	require.ErrorContains(t, client.Ping(ctx).Err(), "timeout")
	require.NoError(t, r.Resume())
	require.NoError(t, redisClient(t, r.Addr()).Ping(t.Context()).Err())

	require.NoError(t, r.Kill())
	require.Error(t, redisClient(t, r.Addr()).Ping(t.Context()).Err())
	require.NoError(t, r.Restart(t.Context()))
	require.Equal(t, "before", redisClient(t, r.Addr()).Get(t.Context(), "k").Val())
}

func TestRedisReplicaFollows(t *testing.T) {
	t.Parallel()
	primary, err := StartRedis(t.Context(), RedisConfig{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, primary.Stop()) })
	replica, err := StartRedis(t.Context(), RedisConfig{Dir: t.TempDir(), ReplicaOf: primary.Addr()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, replica.Stop()) })

	require.NoError(t, redisClient(t, primary.Addr()).Set(t.Context(), "k", "v", 0).Err())
	follower := redisClient(t, replica.Addr())
	require.Eventually(t, func() bool { return follower.Get(t.Context(), "k").Val() == "v" }, patient, pollInterval)
}

func TestRedisFailures(t *testing.T) {
	t.Parallel()
	_, err := StartRedis(t.Context(), RedisConfig{Dir: t.TempDir(), Args: []string{"--no-such-setting", "1"}})
	require.ErrorContains(t, err, "no-such-setting")
	require.ErrorContains(t, err, "Bad directive")

	first, err := StartRedis(t.Context(), RedisConfig{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, first.Stop()) })
	_, err = StartRedis(t.Context(), RedisConfig{Dir: t.TempDir(), Port: first.port})
	require.ErrorIs(t, err, errPortTaken)
}

func TestPostgresAnswersAndSurvivesAKill(t *testing.T) {
	t.Parallel()
	began := time.Now()
	p, err := StartPostgres(t.Context(), PostgresConfig{Dir: t.TempDir(), Settings: map[string]string{"max_connections": "17"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	t.Logf("start took %v", time.Since(began))
	query := func(sql string) string {
		out, err := psql(t.Context(), p.DSN(), sql)
		require.NoError(t, err)
		return out
	}
	require.Equal(t, "logical", query("SHOW wal_level"))
	require.Equal(t, "17", query("SHOW max_connections"))
	query("CREATE TABLE orders (id int)")
	query("INSERT INTO orders VALUES (42)")
	require.NoError(t, p.Kill())
	_, err = psql(t.Context(), p.DSN(), "SELECT 1")
	require.Error(t, err)
	require.NoError(t, p.Restart(t.Context()))
	require.Equal(t, "42", query("SELECT id FROM orders"))
	require.NotEmpty(t, query("SELECT pg_create_logical_replication_slot('s', 'pgoutput')"))
}

// Not parallel: it keeps two cores busy by itself.
func TestUpAndDown(t *testing.T) {
	var out bytes.Buffer
	s := newStack(t.TempDir(), &out)
	up := func() *state {
		out.Reset()
		began := time.Now()
		require.NoError(t, s.up(t.Context()))
		t.Logf("up took %v", time.Since(began))
		st, err := s.readState()
		require.NoError(t, err)
		require.Len(t, st.Processes, 3)
		return st
	}
	t.Cleanup(func() { require.NoError(t, s.down(context.Background())) })

	first := up()
	env, err := os.ReadFile(filepath.Join(s.dir, "env"))
	require.NoError(t, err)
	require.Contains(t, string(env), "export GATEWAY_TEST_KAFKA="+first.Kafka+"\n")

	require.Equal(t, first, up(), "up again changes nothing")
	require.Contains(t, out.String(), "up already")

	require.NoError(t, syscall.Kill(first.pid("redis"), syscall.SIGKILL))
	require.Eventually(t, func() bool { return s.check(t.Context(), first) != nil }, patient, pollInterval)
	second := up()
	require.Contains(t, out.String(), "starting anew")
	requireGone(t, first)

	require.NoError(t, s.down(t.Context()))
	requireGone(t, second)
	require.NoDirExists(t, s.dir)
	require.NoError(t, s.down(t.Context()), "down twice is not an error")
}

func requireGone(t *testing.T, st *state) {
	t.Helper()
	for _, p := range st.Processes {
		require.False(t, p.alive(), p.Name)
	}
}
