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
	"syscall"
	"time"

	"github.com/gofiber/fiber/v2"
)

const (
	metadataTimeout = 10 * time.Second
	deliveryTimeout = 10 * time.Second
	flushTimeout    = 10 * time.Second
)

type options struct {
	listen            string
	client            string
	brokers           string
	topics            []string
	partitions        uint64
	properties        properties // librdkafka only
	maxProduceVersion int        // franz-go only; negative: what both sides know
}

// producer is one of the Kafka clients.
type producer interface {
	// produce returns when the record is acknowledged, or has failed. The value is
	// free for reuse afterwards.
	produce(topic string, partition int32, value []byte) (offset int64, err error)
	close()
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := options{properties: properties{}}
	flag.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address to listen on")
	flag.StringVar(&o.client, "client", "franz", "Kafka client: franz or librdkafka")
	flag.StringVar(&o.brokers, "brokers", "127.0.0.1:9092", "bootstrap brokers, comma-separated")
	topics := flag.String("topics", "bench.floor", "topics to produce to, comma-separated; must exist. Of several, an event's type names its own")
	flag.Uint64Var(&o.partitions, "partitions", 12, "how many partitions each topic has")
	flag.Var(o.properties, "property", "librdkafka property as name=value, repeatable")
	flag.IntVar(&o.maxProduceVersion, "max-produce-version", -1, "franz: greatest version of Produce; 3 keeps one request in flight")
	flag.Parse()
	o.topics = strings.Split(*topics, ",")
	if err := serve(ctx, o); err != nil {
		slog.Error("floor failed", "error", err)
		stop()
		os.Exit(1) // stop was called just above
	}
}

func newProducer(ctx context.Context, o options) (producer, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	switch {
	case o.client == "franz" && len(o.properties) == 0:
		return newFranz(ctx, o)
	case o.client == "librdkafka" && o.maxProduceVersion < 0:
		return newLibrdkafka(o)
	case o.client == "franz" || o.client == "librdkafka":
		return nil, errors.New("create producer: --property is for librdkafka, --max-produce-version for franz")
	}
	return nil, fmt.Errorf("create producer: --client is %q: want franz or librdkafka", o.client)
}

func serve(ctx context.Context, o options) error {
	producer, err := newProducer(ctx, o)
	if err != nil {
		return err
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/readyz", func(c *fiber.Ctx) error { return c.SendString("ok\n") })
	app.Post("/v1/events/:type", newHandler(producer, o).publish)
	listening := make(chan error, 1)
	go func() { listening <- app.Listen(o.listen) }()
	select {
	case err = <-listening:
	case <-ctx.Done():
		err = errors.Join(app.Shutdown(), <-listening)
	}
	producer.close()
	if err != nil {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

type handler struct {
	producer   producer
	topic      string            // of all events, or
	topics     map[string]string // by event type: itself, in memory that fiber does not reuse
	partitions uint64
	seed       maphash.Seed
}

func newHandler(p producer, o options) *handler {
	h := &handler{producer: p, topic: o.topics[0], partitions: o.partitions, seed: maphash.MakeSeed()}
	if len(o.topics) > 1 {
		h.topics = make(map[string]string, len(o.topics))
		for _, topic := range o.topics {
			h.topics[topic] = topic
		}
	}
	return h
}

func (h *handler) publish(c *fiber.Ctx) error {
	body := c.BodyRaw()
	topic := h.topic
	if h.topics != nil {
		var ok bool
		if topic, ok = h.topics[c.Params("type")]; !ok {
			return c.SendStatus(fiber.StatusNotFound)
		}
	}
	partition := int32(maphash.Bytes(h.seed, body) % h.partitions)
	offset, err := h.producer.produce(topic, partition, body)
	if err != nil {
		return c.Status(fiber.StatusGatewayTimeout).SendString(err.Error())
	}
	receipt := make([]byte, 0, 64)
	receipt = append(receipt, `{"partition":`...)
	receipt = strconv.AppendInt(receipt, int64(partition), 10)
	receipt = append(receipt, `,"offset":`...)
	receipt = strconv.AppendInt(receipt, offset, 10)
	receipt = append(receipt, '}')
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(fiber.StatusAccepted).Send(receipt)
}
