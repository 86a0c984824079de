package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/maphash"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/gofiber/fiber/v2"
)

const (
	metadataTimeout = 10 * time.Second
	flushTimeout    = 10 * time.Second
)

type options struct {
	listen     string
	brokers    string
	topic      string
	partitions uint64
	properties kafka.ConfigMap
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := options{properties: kafka.ConfigMap{}}
	flag.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address to listen on")
	flag.StringVar(&o.brokers, "brokers", "127.0.0.1:9092", "bootstrap brokers, comma-separated")
	flag.StringVar(&o.topic, "topic", "bench.floor", "topic to produce to; must exist")
	flag.Uint64Var(&o.partitions, "partitions", 12, "how many partitions the topic has")
	flag.Func("property", "librdkafka property as name=value, repeatable", o.setProperty)
	flag.Parse()
	if err := serve(ctx, o); err != nil {
		slog.Error("floor failed", "error", err)
		stop()
		os.Exit(1) // stop was called just above
	}
}

// setProperty keeps numbers of go.* properties as numbers: the driver wants them
// typed, while librdkafka's own are strings.
func (o *options) setProperty(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok {
		return errors.New("want name=value")
	}
	if n, err := strconv.Atoi(value); err == nil && strings.HasPrefix(name, "go.") {
		return o.properties.SetKey(name, n)
	}
	return o.properties.SetKey(name, value)
}

func serve(ctx context.Context, o options) error {
	config := kafka.ConfigMap{
		"bootstrap.servers":         o.brokers,
		"acks":                      "all",
		"enable.idempotence":        true,
		"linger.ms":                 "0",
		"delivery.timeout.ms":       "10000",
		"go.delivery.report.fields": "none",
	}
	for name, value := range o.properties {
		config[name] = value
	}
	producer, err := kafka.NewProducer(&config)
	if err != nil {
		return fmt.Errorf("create producer: %w", err)
	}
	if _, err := producer.GetMetadata(&o.topic, false, int(metadataTimeout.Milliseconds())); err != nil {
		return fmt.Errorf("read metadata of topic %s: %w", o.topic, err)
	}
	var reader sync.WaitGroup
	reader.Go(func() { report(producer.Events()) })

	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/readyz", func(c *fiber.Ctx) error { return c.SendString("ok\n") })
	app.Post("/v1/events/:type", (&handler{producer: producer, options: o, seed: maphash.MakeSeed()}).publish)
	listening := make(chan error, 1)
	go func() { listening <- app.Listen(o.listen) }()
	select {
	case err = <-listening:
	case <-ctx.Done():
		err = errors.Join(app.Shutdown(), <-listening)
	}
	producer.Flush(int(flushTimeout.Milliseconds()))
	producer.Close() // closes Events, which ends the reader
	reader.Wait()
	if err != nil {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// report hands each delivery report to the request that waits for it.
func report(events <-chan kafka.Event) {
	for e := range events {
		switch e := e.(type) {
		case *kafka.Message:
			e.Opaque.(chan kafka.TopicPartition) <- e.TopicPartition // has room for one
		case kafka.Error:
			slog.Warn("kafka reported an error", "error", e)
		}
	}
}

type handler struct {
	producer *kafka.Producer
	options  options
	seed     maphash.Seed
	waiters  sync.Pool
}

func (h *handler) publish(c *fiber.Ctx) error {
	body := c.BodyRaw()
	waiter, ok := h.waiters.Get().(chan kafka.TopicPartition)
	if !ok {
		waiter = make(chan kafka.TopicPartition, 1)
	}
	partition := int32(maphash.Bytes(h.seed, body) % h.options.partitions)
	err := h.producer.Produce(&kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: &h.options.topic, Partition: partition},
		Value:          body, // copied by Produce
		Opaque:         waiter,
	}, nil)
	if err != nil {
		return c.Status(fiber.StatusServiceUnavailable).SendString(err.Error())
	}
	written := <-waiter // within delivery.timeout.ms at the latest
	h.waiters.Put(waiter)
	if written.Error != nil {
		return c.Status(fiber.StatusGatewayTimeout).SendString(written.Error.Error())
	}
	receipt := make([]byte, 0, 64)
	receipt = append(receipt, `{"partition":`...)
	receipt = strconv.AppendInt(receipt, int64(written.Partition), 10)
	receipt = append(receipt, `,"offset":`...)
	receipt = strconv.AppendInt(receipt, int64(written.Offset), 10)
	receipt = append(receipt, '}')
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(fiber.StatusAccepted).Send(receipt)
}
