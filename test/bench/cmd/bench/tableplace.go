package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"eventgateway/test/bench/internal/target"
	"eventgateway/test/bench/internal/topics"
	"eventgateway/test/services"
)

// brokerWarmUp is how long brokers get load through the floor before the first figure, and
// before the first of more topics, times the number of brokers, which share the cores: they
// compile their code meanwhile.
const brokerWarmUp = 6 * time.Second

// table is a session with services of its own, at all distances that its cells need.
type table struct {
	session
	floorBinary, gatewayBinary string
	schema                     []byte
	redisAt                    map[time.Duration]string
	types                      int // whose topics exist
}

func newTable(ctx context.Context, o options, cells []cell) (t *table, err error) {
	t = &table{session: session{options: o, place: &place{}}, gatewayBinary: o.gateway, redisAt: make(map[time.Duration]string)}
	if t.schema, err = t.readSchema(); err != nil {
		return nil, err
	}
	if t.dir, err = os.MkdirTemp(o.dataDir, "gateway-bench-"); err != nil {
		return nil, fmt.Errorf("create scratch folder: %w", err)
	}
	if err := t.start(ctx, cells); err != nil {
		return nil, errors.Join(err, t.place.close(), os.RemoveAll(t.dir))
	}
	return t, nil
}

// start builds the servers, and starts Kafka, Redis and the links.
func (t *table) start(ctx context.Context, cells []cell) (err error) {
	if t.floorBinary, err = t.build(ctx, "floor", "./test/bench/cmd/floor"); err != nil {
		return err
	}
	if t.gatewayBinary == "" {
		if t.gatewayBinary, err = t.build(ctx, "gateway", "./cmd/gateway"); err != nil {
			return err
		}
	}
	var distances []time.Duration
	for _, c := range cells {
		if c.distance > 0 && !slices.Contains(distances, c.distance) {
			distances = append(distances, c.distance)
		}
	}
	brokers := cells[0].brokers
	if err := t.place.startKafka(ctx, filepath.Join(t.dir, "kafka"), brokers, distances...); err != nil {
		return err
	}
	if t.place.ownRedis, err = services.StartRedis(ctx, services.RedisConfig{Dir: filepath.Join(t.dir, "redis")}); err != nil {
		return fmt.Errorf("place Redis: %w", err)
	}
	for _, c := range cells {
		if t.redisAt[c.redisDistance] != "" {
			continue
		}
		at := t.place.ownRedis.Addr()
		if c.redisDistance > 0 {
			if at, err = t.place.link(at, c.redisDistance); err != nil {
				return err
			}
		}
		t.redisAt[c.redisDistance] = at
	}
	t.topics, err = topics.New(t.place.direct, partitionsPerType, int16(min(brokers, 3)))
	return err
}

// enter moves the servers to the setting's distances, and creates its topics and event
// types if they are new. Topics of fewer types are among those of more, and floor and
// gateways share them: they never write at the same time.
func (t *table) enter(ctx context.Context, st setting) error {
	t.place.brokers = t.place.brokersAt(st.distance)
	t.place.redis = list{t.redisAt[st.redisDistance]}
	if st.types <= t.types {
		return nil
	}
	t.types = st.types
	began := time.Now()
	if err := t.topics.Ensure(ctx, eventTypes(st.types)...); err != nil {
		return err
	}
	if err := t.topics.Touch(ctx, eventTypes(st.types)...); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s of %s are ready after %v\n", count(st.partitions(), "partition"), count(st.types, "event type"), time.Since(began).Round(time.Second))
	if err := writeEventTypes(t.schemasOf(st.types), t.schema, eventTypes(st.types)); err != nil {
		return err
	}
	st.connections = 256
	if _, err := t.once(ctx, t.floorSpec(st), st, brokerWarmUp*time.Duration(st.brokers)); err != nil {
		return fmt.Errorf("warm up brokers: %w", err)
	}
	return nil
}

func (t *table) floorSpec(st setting) target.Spec {
	return target.Floor("floor", t.floorBinary, t.place.brokers, eventTypes(st.types), partitionsPerType, nil)
}

func (t *table) gatewaySpec(c cell) target.Spec {
	return target.Gateway("gateway", t.gatewayBinary, eventTypes(c.types), target.GatewayConfig{
		Brokers: t.place.brokers, Redis: t.place.redis, SchemasDir: t.schemasOf(c.types),
		Client: c.client, Guarantee: c.guarantee, IdempotencyTTL: t.options.idempotencyTTL,
	})
}

// schemasOf is the folder with that many event types.
func (t *table) schemasOf(types int) string {
	return filepath.Join(t.dir, fmt.Sprintf("types-%d", types))
}

// emptyRedis restarts Redis, which keeps nothing, so that every gateway starts with as few
// keys.
func (t *table) emptyRedis(ctx context.Context) error {
	err := t.place.ownRedis.Kill()
	if err == nil {
		err = t.place.ownRedis.Restart(ctx)
	}
	if err != nil {
		return fmt.Errorf("empty Redis: %w", err)
	}
	return nil
}
