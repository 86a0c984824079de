package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are the flags; each command registers those that it uses.
type options struct {
	setup
	brokers, redis  list
	schemasDir      string
	eventType       string
	idempotencyTTL  time.Duration
	gateway, old    string // binaries; an empty gateway is built
	guarantee       string // of the newer gateway; empty: the default
	clientRate      string // of the newer gateway's only client; empty: no authentication
	resultsDir      string
	dataDir         string // for the servers that the run starts
	maxFailureShare float64

	rounds          int
	warmUp          time.Duration
	duration        time.Duration
	connections     numbers
	openRate        float64
	openConnections int
	profile         bool
	targets         targets

	batch            int // events in a request; 0: no such scenario
	batchConnections int

	maxGrowth float64 // soak
}

func (o *options) register(f *flag.FlagSet) {
	o.brokers = split(os.Getenv("GATEWAY_TEST_KAFKA"))
	o.redis = split(os.Getenv("GATEWAY_TEST_REDIS"))
	f.Var(&o.brokers, "brokers", "Kafka bootstrap `addresses` (default $GATEWAY_TEST_KAFKA)")
	f.Var(&o.redis, "redis", "Redis `addresses` (default $GATEWAY_TEST_REDIS)")
	o.setup.register(f)
	o.registerServers(f, 2*time.Second)
}

// registerServers adds the flags of the commands that measure a gateway anywhere.
func (o *options) registerServers(f *flag.FlagSet, warmUp time.Duration) {
	f.StringVar(&o.schemasDir, "schemas", "schemas", "`folder` of the event types")
	f.StringVar(&o.eventType, "type", "orders.placed", "event `type` to publish; its example needs an orderId")
	f.DurationVar(&o.idempotencyTTL, "idempotency-ttl", 10*time.Minute, "the gateway's idempotency window; 0 keeps its default")
	f.StringVar(&o.gateway, "gateway", "", "gateway `binary` to measure (default: build ./cmd/gateway)")
	f.StringVar(&o.dataDir, "data", dataFolder(), "`folder` for what a Kafka that the run starts writes")
	f.StringVar(&o.resultsDir, "results", "bench-results", "`folder` for JSON and profiles")
	f.Float64Var(&o.maxFailureShare, "max-failure-share", 0.001, "largest share of requests without a 202")
	f.DurationVar(&o.warmUp, "warm-up", warmUp, "load before each measured window")
}

// registerRounds adds the flags of the commands that compare two servers.
func (o *options) registerRounds(f *flag.FlagSet) {
	o.connections = numbers{1, 64, 256}
	f.IntVar(&o.rounds, "rounds", 5, "how often each side is measured in each scenario")
	f.DurationVar(&o.duration, "duration", 10*time.Second, "length of a measured window")
	f.Var(&o.connections, "connections", "closed-loop scenarios, comma-separated `counts`; empty for none")
	f.Float64Var(&o.openRate, "open-rate", 5000, "open-loop requests per second; 0 for none")
	f.IntVar(&o.openConnections, "open-connections", 256, "connections of the open loop")
	o.targets.register(f)
}

// registerBatches adds the flags of the commands that may post batches.
func (o *options) registerBatches(f *flag.FlagSet, batch int) {
	f.IntVar(&o.batch, "batch", batch, "events in each request of the scenario with batches; 0 for none")
	f.IntVar(&o.batchConnections, "batch-connections", 8, "connections that post batches")
}

func (o *options) validate() error {
	errs := []error{o.setup.validate(), o.targets.validate(o)}
	if len(o.brokers) == 0 && o.distance == 0 {
		errs = append(errs, errors.New("no Kafka: set GATEWAY_TEST_KAFKA or --brokers"))
	}
	if len(o.redis) > 1 && o.redisDistance > 0 {
		errs = append(errs, errors.New("--redis-distance needs a single Redis: the nodes of a cluster name each other's addresses, past the link"))
	}
	if o.batch < 0 || o.batch > 1000 || o.batch > 0 && o.batchConnections < 1 {
		errs = append(errs, errors.New("batch must be 0 to 1,000, its connections positive"))
	}
	if o.rounds < 1 || o.duration <= 0 || o.warmUp < 0 {
		errs = append(errs, errors.New("rounds and duration must be positive, warm-up not negative"))
	}
	if len(o.connections) == 0 && o.openRate == 0 {
		errs = append(errs, errors.New("no scenario: give --connections or --open-rate"))
	}
	if slices.ContainsFunc(o.connections, func(n int) bool { return n < 1 }) {
		errs = append(errs, errors.New("connections must be positive"))
	}
	return errors.Join(errs...)
}

// list is a comma-separated flag; giving it again adds to it.
type list []string

func split(s string) list {
	return slices.DeleteFunc(strings.Split(s, ","), func(p string) bool { return p == "" })
}

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(s string) error {
	*l = append(*l, split(s)...)
	return nil
}

// numbers is a comma-separated flag of integers; giving it replaces the default.
type numbers []int

func (n *numbers) String() string { return strings.Trim(fmt.Sprint([]int(*n)), "[]") }

func (n *numbers) Set(s string) error {
	*n = nil
	for _, p := range split(s) {
		v, err := strconv.Atoi(p)
		if err != nil {
			return fmt.Errorf("parse number: %w", err)
		}
		*n = append(*n, v)
	}
	return nil
}
