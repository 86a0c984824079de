package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"eventgateway/internal/backoff"
	"eventgateway/internal/config"
	"eventgateway/internal/idempotency"
	"eventgateway/internal/publish"
	"eventgateway/internal/redis"
	"eventgateway/internal/schema"
)

const (
	// topicsTimeout bounds how long a rebuild by hand waits until Kafka's topics are
	// known.
	topicsTimeout  = 30 * time.Second
	topicsInterval = 50 * time.Millisecond
	leaveTimeout   = 2 * time.Second
)

// Rebuild reads from the last window of the log which keyed events were written,
// whatever Redis remembers. Running gateways refuse keyed events meanwhile. It calls
// progress with what it has done so far.
func Rebuild(ctx context.Context, cfg *config.Config, window time.Duration, logger *slog.Logger, progress func(idempotency.Tally)) (tally idempotency.Tally, err error) {
	set, err := schema.Load(cfg.Schemas.Dir)
	if err != nil {
		return idempotency.Tally{}, fmt.Errorf("schemas: %w", err)
	}
	err = withProducer(ctx, cfg, logger, func(producer *publish.Log) error {
		setTopics(producer, cfg, set)
		if err := awaitTopics(ctx, producer); err != nil {
			return err
		}
		return withStore(cfg, knownInstallation(cfg, producer), producer, logger, func(s *idempotency.Store) (err error) {
			tally, err = idempotency.NewRebuilder(s, producer).Rebuild(ctx, window, progress)
			return err
		})
	})
	return tally, err
}

// withProducer runs a producer, registered among the gateways, while use runs.
func withProducer(ctx context.Context, cfg *config.Config, logger *slog.Logger, use func(*publish.Log) error) error {
	producer, err := publish.New(producerConfig(cfg), logger, publish.NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	defer producer.Close(ctx)
	defer leave(ctx, producer, logger) // it has made no claims
	background, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { producer.Run(background) })
	return use(producer)
}

// leave takes this process out of the registry of gateways. Others would wait for it.
func leave(ctx context.Context, producer *publish.Log, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := producer.Membership().Leave(ctx); err != nil {
		logger.Warn("this process could not be taken out of the registry of gateways: after the next loss of redis, they wait for it for a lease", "error", err)
	}
}

// AssertEmpty lets gateways begin on an empty Redis without reading the log. It returns
// how many buckets were not ready before.
func AssertEmpty(ctx context.Context, cfg *config.Config, logger *slog.Logger) (set int, err error) {
	installation, err := installationOf(ctx, cfg)
	if err != nil {
		return 0, err
	}
	err = withProducer(ctx, cfg, logger, func(producer *publish.Log) error {
		return withStore(cfg, installation, producer, logger, func(s *idempotency.Store) (err error) {
			set, err = s.AssertEmpty(ctx)
			return err
		})
	})
	return set, err
}

func withStore(cfg *config.Config, installation string, producer *publish.Log, logger *slog.Logger, use func(*idempotency.Store) error) error {
	return withRedis(cfg, func(rdb redis.Client) error {
		known := func() string { return installation }
		store := storeConfig(cfg, known, generationsOf(cfg, producer))
		return use(idempotency.New(store, rdb, logger, idempotency.NewMetrics(prometheus.NewRegistry())))
	})
}

func withRedis(cfg *config.Config, use func(redis.Client) error) error {
	client, err := redisConfig(cfg.Redis)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	rdb := redis.New(client)
	defer func() { _ = rdb.Close() }()
	if err := use(rdb); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// awaitTopics waits until all topics are known: the events of a topic that is left out
// would be forgotten.
func awaitTopics(ctx context.Context, producer *publish.Log) error {
	limit, cancel := context.WithTimeout(ctx, topicsTimeout)
	defer cancel()
	if backoff.Poll(limit, topicsInterval, producer.Complete) {
		return nil
	}
	if last, _ := producer.Reached(); last.IsZero() || ctx.Err() != nil {
		return fmt.Errorf("kafka: no answer from kafka.brokers: %w", limit.Err())
	}
	return errors.New("kafka: topics of event types are missing, and their events would be forgotten; create the topics, or remove the event types")
}
