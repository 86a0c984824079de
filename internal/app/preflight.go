package app

import (
	"context"
	"time"

	"eventgateway/internal/config"
	"eventgateway/internal/event"
	"eventgateway/internal/idempotency"
	"eventgateway/internal/preflight"
	"eventgateway/internal/redis"
	"eventgateway/internal/schema"
)

// clusterIDTimeout bounds the question to Kafka in a check of Redis.
const clusterIDTimeout = 2 * time.Second

// RedisCheck is what a preflight of Redis needs beside the configuration.
type RedisCheck struct {
	Now          func() time.Time // the gateway's clock
	ExpectedRate float64          // keyed events a second; 0 if unknown
	File         string           // the configuration file
	// Installation names the installation, as far as is known; nil: Kafka is asked.
	Installation func() string
}

// CheckRedis inspects the Redis of the configuration and its clock until ctx ends. It
// changes nothing there.
func CheckRedis(ctx context.Context, cfg *config.Config, c RedisCheck) []preflight.Finding {
	facts, needs, err := inspectRedis(ctx, cfg, c)
	if err != nil {
		return []preflight.Finding{{
			Severity: preflight.Error, Check: "redis.tls", What: err.Error(), Do: "correct the path, or the file: it must be PEM and readable for the gateway",
		}}
	}
	return append(preflight.Redis(facts, needs), preflight.RedisClock(facts, needs)...)
}

// inspectRedis collects what is known about Redis and what is needed of it.
func inspectRedis(ctx context.Context, cfg *config.Config, c RedisCheck) (preflight.RedisFacts, preflight.RedisNeeds, error) {
	client, err := redisConfig(cfg.Redis)
	if err != nil {
		return preflight.RedisFacts{}, preflight.RedisNeeds{}, err
	}
	installation := c.Installation
	if installation == nil {
		installation = func() string {
			asking, cancel := context.WithTimeout(ctx, clusterIDTimeout)
			defer cancel()
			name, _ := installationOf(asking, cfg) // that Kafka does not answer is another check's finding
			return name
		}
	}
	return idempotency.Inspect(ctx, client, installation, c.Now), preflight.RedisNeeds{
		TTL: cfg.Idempotency.TTL, Lease: cfg.Idempotency.Lease,
		ClockSlack:    cfg.Idempotency.Lease - cfg.Kafka.DeliveryTimeout - config.LeaseMargin,
		Transactional: cfg.Kafka.Guarantee == config.GuaranteeTransactional,
		ExpectedRate:  c.ExpectedRate, File: c.File,
	}, nil
}

// ShowClaim reads what Redis holds for a claim. It changes nothing there. The topic of a
// settled claim is named if an event type has it.
func ShowClaim(ctx context.Context, cfg *config.Config, id event.ClaimID) (shown idempotency.Shown, err error) {
	installation, err := installationOf(ctx, cfg)
	if err != nil {
		return shown, err
	}
	err = withRedis(cfg, func(rdb redis.Client) (err error) {
		shown, err = idempotency.Show(ctx, rdb, installation, id)
		return err
	})
	if err != nil || shown.State != idempotency.ShownSettled {
		return shown, err
	}
	if set, err := schema.Load(cfg.Schemas.Dir); err == nil { // without schemas, the hash is shown
		for _, name := range topics(cfg, set) {
			if event.HashTopic(name) == shown.Kept.Topic {
				shown.Topic = name
			}
		}
	}
	return shown, nil
}
