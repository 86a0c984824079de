// Command subscriptions measures the delivery of events to an HTTP endpoint, beside a bare
// floor in the same run: a consumer and an HTTP client without order, retries and commits.
//
//	test/with-services go run ./test/bench/cmd/subscriptions -gateway bin/gateway
//
// Its parts:
//
//   - fast: how fast events that wait are delivered to an endpoint that answers at once, in
//     interleaved rounds with the floor;
//   - slow: the same with an endpoint of 10 ms, one partition and 1,000 entities, beside
//     serial delivery;
//   - poison: the delay of other events while one in each partition cannot be delivered;
//   - sick: an endpoint that answers 404 for a minute, and comes back;
//   - members: a gateway is added, and one is killed;
//   - idle: memory and threads of 100 subscriptions that have nothing to do.
//
// Floor, gateways and the endpoint are processes of one machine and share its cores.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

type flags struct {
	gateway        string
	kafka, redis   string
	parts          string
	events, rounds int
	distance       time.Duration
	floor          floorFlags
}

func main() {
	f := flags{kafka: os.Getenv("GATEWAY_TEST_KAFKA"), redis: os.Getenv("GATEWAY_TEST_REDIS")}
	flag.StringVar(&f.gateway, "gateway", "bin/gateway", "the gateway's `binary`")
	flag.StringVar(&f.parts, "parts", "", "what is measured, a `list` of fast, slow, poison, sick, members, idle; all by default")
	flag.IntVar(&f.events, "events", 50_000, "`number` of events of a round of fast; slow has a fifth")
	flag.IntVar(&f.rounds, "rounds", 3, "`number` of rounds")
	flag.DurationVar(&f.distance, "distance", 0, "one way to a broker of its own, behind a link; 0: the services' broker")
	f.floor.register()
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if f.floor.url != "" {
		if err := f.floor.run(ctx); err != nil {
			log.Fatal(err)
		}
		return
	}
	if err := run(ctx, f); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, f flags) (err error) {
	if f.kafka == "" || f.redis == "" {
		return errors.New("services are missing: run it with test/with-services")
	}
	b, err := newBench(ctx, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{{"fast", b.fast}, {"slow", b.slow}, {"poison", b.poison}, {"sick", b.sick}, {"members", b.members}, {"idle", b.idle}} {
		if f.parts != "" && !slices.Contains(strings.Split(f.parts, ","), part.name) {
			continue
		}
		if err := part.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}
