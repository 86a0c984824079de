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
	// admin asks through a producer that never gets a record. Unlike librdkafka's admin
	// client, that tells when no broker can be reached.
	admin    *Admin
	logger   *slog.Logger
	end      func() // closes producer
	close    sync.Once
	patience time.Duration // of Close
	closed   chan struct{}
}

// NewClient returns a client that connects in the background and must be closed.
// onError is called by one goroutine, with errors that concern no single question, for
// example that no broker can be reached. It must not call Close. Errors of NewClient
// are those of the settings.
func NewClient(c Connection, logger *slog.Logger, onError func(librdkafka.Error)) (*Client, error) {
	producer, end, err := StartProducer(askSettings(c), logger, onError)
	if err != nil {
		return nil, fmt.Errorf("create kafka client: %w", err)
	}
	admin, err := AdminOf(producer)
	if err != nil {
		end()
		return nil, err
	}
	return &Client{admin: admin, logger: logger, end: end, patience: closeTimeout, closed: make(chan struct{})}, nil
}

func askSettings(c Connection) librdkafka.ConfigMap {
	settings := c.ProducerSettings(librdkafka.ConfigMap{
		"socket.timeout.ms": int(askSocketTimeout.Milliseconds()),
		// By default librdkafka asks for a missing topic ten times a second.
		"topic.metadata.refresh.fast.interval.ms": 1000,
	}, librdkafka.ConfigMap{
		"go.delivery.reports": false,
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
	c.end()
	close(c.closed)
}
