package kafka

import (
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

const (
	// askSocketTimeout is how long a broker may be silent before it is given up for
	// another one. An operator's socket.timeout.ms replaces it, but not below
	// leastSocketTimeout: a loaded broker takes longer than that to create a topic.
	askSocketTimeout   = 3 * time.Second
	leastSocketTimeout = time.Second
	// closeTimeout is a second more than the gateway's longest question takes. A call
	// into librdkafka cannot be ended from outside.
	closeTimeout = 6 * time.Second
)

// Client is a connection to Kafka that only asks: for metadata, settings and offsets,
// and for topics to be created. Producers have connections of their own, so that
// closing one waits for no question. It is safe for concurrent use.
type Client struct {
	// producer never gets a record. Unlike librdkafka's admin client, it tells when no
	// broker can be reached.
	producer *librdkafka.Producer
	admin    *Admin
	logger   *slog.Logger
	stop     chan struct{} // closed after producer is
	pumps    sync.WaitGroup
	close    sync.Once
	patience time.Duration // of Close
	closed   chan struct{}
}

// NewClient returns a client that connects in the background and must be closed.
// onError is called by one goroutine, with errors that concern no single question, for
// example that no broker can be reached. It must not call Close. Errors of NewClient
// are those of the settings.
func NewClient(c Connection, logger *slog.Logger, onError func(librdkafka.Error)) (*Client, error) {
	settings := askSettings(c)
	logs := make(chan librdkafka.LogEvent, 64)
	settings["go.logs.channel"] = logs
	producer, err := librdkafka.NewProducer(&settings)
	if err != nil {
		return nil, fmt.Errorf("create kafka client: %w", err)
	}
	admin, err := AdminOf(producer)
	if err != nil {
		producer.Close()
		return nil, err
	}
	client := &Client{
		producer: producer, admin: admin, logger: logger, patience: closeTimeout,
		stop: make(chan struct{}), closed: make(chan struct{}),
	}
	client.pumps.Go(func() {
		for ev := range producer.Events() { // an unread channel would block librdkafka
			if e, ok := ev.(librdkafka.Error); ok {
				onError(e)
			}
		}
	})
	client.pumps.Go(func() { ForwardLogs(logger, logs, client.stop) })
	return client, nil
}

func askSettings(c Connection) librdkafka.ConfigMap {
	settings := c.Settings(librdkafka.ConfigMap{
		"reconnect.backoff.ms":     50,
		"reconnect.backoff.max.ms": 1000, // be back soon after Kafka is
		"socket.timeout.ms":        int(askSocketTimeout.Milliseconds()),
		"socket.keepalive.enable":  true,
		"socket.nagle.disable":     true,
		"enable.metrics.push":      false,
		// By default librdkafka asks for a missing topic ten times a second.
		"topic.metadata.refresh.fast.interval.ms": 1000,
	}, librdkafka.ConfigMap{
		"go.logs.channel.enable": true,
		"go.delivery.reports":    false,
		// Nothing is produced: the queues are as small as they can be.
		"queue.buffering.max.messages": 1,
		"queue.buffering.max.kbytes":   1,
		"go.events.channel.size":       64,
		"go.produce.channel.size":      1,
	})
	if text, ok := settings["socket.timeout.ms"].(string); ok { // librdkafka refuses what is not a number
		if n, err := strconv.Atoi(text); err == nil {
			settings["socket.timeout.ms"] = max(n, int(leastSocketTimeout.Milliseconds()))
		}
	}
	return settings
}

// Admin asks through this client, until it is closed.
func (c *Client) Admin() *Admin { return c.admin }

// Close waits for questions in progress, for at most six seconds; later ones fail. It
// may be called twice.
func (c *Client) Close() {
	c.close.Do(func() { go c.shutDown() })
	select {
	case <-c.closed:
	case <-time.After(c.patience):
		c.logger.Warn("a question to kafka does not end: its client is left behind")
	}
}

func (c *Client) shutDown() {
	c.admin.Close()
	c.producer.Close()
	close(c.stop)
	c.pumps.Wait()
	close(c.closed)
}
