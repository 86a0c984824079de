// Command rebuild measures how long a gateway needs to take events again after Redis was
// emptied, with very many records in the log.
//
//	test/with-services go run ./test/bench/cmd/rebuild -records 20000000 -gateways new=bin/gateway,old=/path/to/gateway
//
// It empties the Redis, lets the first gateway publish an event of each of two types, writes
// copies of them with other claims to Kafka, and then, for each gateway in turn, empties the
// Redis again and starts the gateway. It prints when each type was taken first, what the
// gateway's log says of the rebuild, and what gateway and Redis took.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
)

type flags struct {
	gateways     string
	records      int
	small        int
	partitions   int
	kafka, redis string
}

func main() {
	f := flags{kafka: os.Getenv("GATEWAY_TEST_KAFKA"), redis: os.Getenv("GATEWAY_TEST_REDIS")}
	flag.StringVar(&f.gateways, "gateways", "gateway=bin/gateway", "a `list` of name=binary")
	flag.IntVar(&f.records, "records", 1_000_000, "`number` of records of the type with many")
	flag.IntVar(&f.small, "small", 10_000, "`number` of records of the type with few")
	flag.IntVar(&f.partitions, "partitions", 12, "`number` of partitions of each topic")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, f); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, f flags) error {
	if f.kafka == "" || f.redis == "" {
		return fmt.Errorf("services are missing: run it with test/with-services")
	}
	b, err := newBench(f)
	if err != nil {
		return err
	}
	defer b.close()
	gateways := strings.Split(f.gateways, ",")
	_, first, _ := strings.Cut(gateways[0], "=")
	if err := b.fill(ctx, first); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	for _, one := range gateways {
		name, binary, _ := strings.Cut(one, "=")
		if err := b.measure(ctx, name, binary); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
