package dev

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventgateway/internal/backoff"
)

// Config says where the embedded services listen.
type Config struct {
	KafkaListen string // host:port; port 0 picks a free one
	DataDir     string // keeps Kafka's records across restarts; empty: in memory
}

// Services are the running embedded services.
type Services struct {
	kafka *kfake.Cluster
	redis *miniredis.Miniredis
	stop  context.CancelFunc
	clock sync.WaitGroup
}

// Start starts both services. The caller must Close them.
func Start(cfg Config) (*Services, error) {
	redis, err := startRedis()
	if err != nil {
		return nil, err
	}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) { return net.Listen(network, cfg.KafkaListen) }),
	}
	if cfg.DataDir != "" {
		opts = append(opts, kfake.DataDir(cfg.DataDir))
	}
	kafka, err := kfake.NewCluster(opts...)
	if err != nil {
		redis.Close()
		return nil, fmt.Errorf("start embedded kafka on %s: %w", cfg.KafkaListen, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Services{kafka: kafka, redis: redis, stop: cancel}
	s.clock.Go(func() { s.runClock(ctx) })
	return s, nil
}

func startRedis() (*miniredis.Miniredis, error) {
	r := miniredis.NewMiniRedis()
	if err := r.Start(); err != nil {
		return nil, fmt.Errorf("start embedded redis: %w", err)
	}
	// miniredis lacks what the gateway recognises another Redis by; this one is always the
	// same.
	sections := map[string]string{
		"replication": "# Replication\r\nrole:master\r\nmaster_replid:" + strings.Repeat("0", 40) + "\r\n",
		"server":      "# Server\r\nredis_mode:standalone\r\nrun_id:" + strings.Repeat("0", 40) + "\r\n",
	}
	r.Server().SetPreHook(func(c *server.Peer, cmd string, args ...string) bool {
		if !strings.EqualFold(cmd, "INFO") || len(args) != 1 {
			return false
		}
		section, known := sections[strings.ToLower(args[0])]
		if known {
			c.WriteBulk(section)
		}
		return known
	})
	return r, nil
}

// runClock lets keys expire, which miniredis does not do by itself.
func (s *Services) runClock(ctx context.Context) {
	const step = time.Second
	for backoff.Sleep(ctx, step) {
		s.redis.FastForward(step)
	}
}

// KafkaAddr returns host:port of the Kafka endpoint.
func (s *Services) KafkaAddr() string { return s.kafka.ListenAddrs()[0] }

// RedisAddr returns host:port of the Redis endpoint.
func (s *Services) RedisAddr() string { return s.redis.Addr() }

// Close stops both services.
func (s *Services) Close() {
	s.stop()
	s.clock.Wait()
	s.kafka.Close()
	s.redis.Close()
}
