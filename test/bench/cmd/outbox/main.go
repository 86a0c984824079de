// Command outbox measures the relay of an outbox beside a bare floor, in one run and
// interleaved: a program that follows the write-ahead log and produces, and does nothing
// else (no validation, no claims, no deletion).
//
//	test/with-services go run ./test/bench/cmd/outbox -gateway bin/gateway
//
// It makes a database, topics and a slot of its own. It prints a table of rounds: the drain
// of rows that wait, by the floor, by the readers wal and poll, and by poll with one entity;
// then the delay from created_at to Kafka at a steady rate; commits of writers with triggers
// of three kinds; the rate beside a long transaction; what claims take in Redis.
package main

import (
	"context"
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
	gateway              string
	rows, rounds, rate   int
	seconds, writers     int
	kafka, redis, server string
	profile, parts       string
	hold                 int
}

func main() {
	f := flags{kafka: os.Getenv("GATEWAY_TEST_KAFKA"), redis: os.Getenv("GATEWAY_TEST_REDIS"), server: os.Getenv("GATEWAY_TEST_POSTGRES")}
	flag.StringVar(&f.gateway, "gateway", "bin/gateway", "the gateway's `binary`")
	flag.IntVar(&f.rows, "rows", 100_000, "`number` of rows that wait")
	flag.IntVar(&f.rounds, "rounds", 3, "`number` of rounds")
	flag.IntVar(&f.rate, "rate", 1000, "rows a second for the delay, a `number`")
	flag.IntVar(&f.seconds, "seconds", 10, "`number` of seconds for the delay, and for each kind of trigger")
	flag.IntVar(&f.writers, "writers", 32, "`number` of writers for the triggers")
	flag.StringVar(&f.parts, "parts", "", "what is measured, a `list` of drain, delay, commits, horizon, redis; all by default. redis empties the Redis")
	flag.IntVar(&f.hold, "hold", 60, "`number` of seconds for horizon and redis")
	flag.StringVar(&f.profile, "profile", "", "`folder` for CPU profiles of the relays that drain; takes CPU itself")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, f); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, f flags) error {
	if f.kafka == "" || f.redis == "" || f.server == "" {
		return fmt.Errorf("services are missing: run it with test/with-services")
	}
	b, err := newBench(ctx, f)
	if err != nil {
		return err
	}
	defer b.close()
	first, err := b.start(ctx, "poll") // creates the topic
	if err != nil {
		return err
	}
	first.stop()
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{{"drain", b.drains}, {"delay", b.delays}, {"commits", b.triggers}, {"horizon", b.horizons}, {"redis", b.redis}} {
		if f.parts != "" && !slices.Contains(strings.Split(f.parts, ","), part.name) {
			continue
		}
		if err := part.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

var readers = []string{"wal", "poll"}

func (b *bench) drains(ctx context.Context) error {
	rows := b.f.rows
	fmt.Println("drain of", rows, "rows, 1,000 entities; rows/s, and CPU seconds and peak memory of the gateway")
	for round := range b.f.rounds {
		floor, err := b.floor(ctx)
		if err != nil {
			return fmt.Errorf("floor: %w", err)
		}
		fmt.Printf("  %d  floor %.0f/s", round+1, floor)
		var many float64
		for _, read := range readers {
			d, err := b.drain(ctx, read, rows, 1000)
			if err != nil {
				return fmt.Errorf("%s: %w", read, err)
			}
			many = d.rate
			fmt.Printf("   %s %.0f/s (%.2f of the floor; %.1f s, %d MB)", read, d.rate, d.rate/floor, d.cpu, d.peak>>20)
		}
		hot, err := b.drain(ctx, "poll", rows/5, 1)
		if err != nil {
			return fmt.Errorf("hot entity: %w", err)
		}
		fmt.Printf("   poll, one entity %.0f/s (%.2f of many)\n", hot.rate, hot.rate/many)
	}
	return nil
}

func (b *bench) delays(ctx context.Context) error {
	fmt.Printf("delay from created_at to the acknowledgement at %d rows/s, %d s: share of rows within\n", b.f.rate, b.f.seconds)
	return b.each(ctx, b.delay)
}

func (b *bench) horizons(ctx context.Context) error {
	fmt.Printf("800 rows/s beside a transaction that inserted a row and stays open for %d s\n", b.f.hold)
	return b.each(ctx, b.horizon)
}

func (b *bench) redis(ctx context.Context) error {
	fmt.Println("Redis at 2,000 rows/s")
	return b.each(ctx, b.redisMemory)
}

// each measures both readers.
func (*bench) each(ctx context.Context, measure func(ctx context.Context, read string) (string, error)) error {
	for _, read := range readers {
		text, err := measure(ctx, read)
		if err != nil {
			return fmt.Errorf("%s: %w", read, err)
		}
		fmt.Printf("  %s  %s\n", read, text)
	}
	return nil
}

func (b *bench) triggers(ctx context.Context) error {
	fmt.Printf("commits/s of %d writers, by the statement trigger of their table\n", b.f.writers)
	for round := range b.f.rounds {
		fmt.Printf("  %d", round+1)
		var empty float64
		for _, kind := range []string{"empty", "doorbell", "notify"} {
			rate, err := b.commits(ctx, kind, time.Duration(b.f.seconds)*time.Second/2)
			if err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
			if kind == "empty" {
				empty = rate
			}
			fmt.Printf("  %s %.0f (%.2f)", kind, rate, rate/empty)
		}
		fmt.Println()
	}
	return nil
}
