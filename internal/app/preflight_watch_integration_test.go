//go:build integration

package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	eventgateway "eventgateway"
	"eventgateway/test/services"
)

type lockedWriter struct {
	mu  *sync.Mutex
	out *bytes.Buffer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}

// schemasOf is a folder with one event type.
func schemasOf(t *testing.T, topic string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "one"), 0o700))
	raw := fmt.Sprintf(`{"type": "object", "x-event": {"topic": %q, "key": null}}`, topic)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "one", "v1.json"), []byte(raw), 0o600))
	return dir
}

// TestPreflightOfRunningGateway: settings that change under a gateway are named, once.
func TestPreflightOfRunningGateway(t *testing.T) {
	t.Parallel()
	redis, err := services.StartRedis(t.Context(), services.RedisConfig{Dir: t.TempDir(), Args: []string{"--appendonly", "yes"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, redis.Kill()) })
	rdb := goredis.NewClient(&goredis.Options{Addr: redis.Addr()})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	kafka := services.Shared(t).Kafka
	cl, err := kgo.NewClient(kgo.SeedBrokers(kafka))
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	admin := kadm.NewClient(cl)
	topic := "test-preflight-" + uuid.NewString()
	created, err := admin.CreateTopics(t.Context(), 2, 1, nil, topic)
	require.NoError(t, err)
	require.NoError(t, created.Error())
	t.Cleanup(func() { _, _ = admin.DeleteTopics(context.Background(), topic) })

	cfg := testConfig()
	cfg.Kafka.Brokers, cfg.Redis.Addresses = []string{kafka}, []string{redis.Addr()}
	cfg.Schemas.Dir = schemasOf(t, topic)
	var mu sync.Mutex
	var log bytes.Buffer
	a, err := New(cfg, eventgateway.OpenAPI, slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.discard()) })
	lines := func(parts ...string) (n int) {
		mu.Lock()
		defer mu.Unlock()
		for line := range strings.Lines(log.String()) {
			all := true
			for _, part := range parts {
				all = all && strings.Contains(line, part)
			}
			if all {
				n++
			}
		}
		return n
	}
	errors := func(check string) float64 {
		return testutil.ToFloat64(a.watch.metrics.findings.WithLabelValues(check, "error"))
	}
	looks := func(area string) float64 {
		return testutil.ToFloat64(a.watch.metrics.looks.WithLabelValues(area, "done"))
	}
	// The broker that creates a topic tells the others, which takes a moment.
	require.Eventually(t, func() bool {
		a.watch.look(t.Context())
		return looks("kafka") > 0 && looks("redis") > 0 && lines("kafka.topic.replication", topic) == 1
	}, patience, readyInterval)
	require.Equal(t, 1, lines("redis.maxmemory", redis.Addr(), "severity=warning"))
	require.Zero(t, lines("redis.eviction"))
	require.Zero(t, errors("redis.eviction"))

	require.NoError(t, rdb.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	hour := "3600000"
	_, err = admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &hour}}, topic)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		a.watch.look(t.Context())
		return errors("redis.eviction") == 1 && errors("kafka.topic.retention") == 1
	}, patience, readyInterval)
	require.Equal(t, 1, lines("level=ERROR", "redis.eviction", "allkeys-lru"))
	require.Equal(t, 1, lines("level=ERROR", "kafka.topic.retention", topic, "a retry"))

	require.NoError(t, rdb.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
	a.watch.look(t.Context())
	require.Equal(t, 1, lines("is gone", "redis.eviction", "was=error"))
	require.NoError(t, redis.Kill())
	a.watch.look(t.Context())
	require.InDelta(t, 1, testutil.ToFloat64(a.watch.metrics.looks.WithLabelValues("redis", "failed")), 0)
	require.Zero(t, lines("is gone", "redis.maxmemory"), "a Redis that does not answer has not got better")
}
