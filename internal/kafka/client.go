package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Connection is how a client reaches the brokers.
type Connection struct {
	Brokers    []string
	Properties map[string]string // by librdkafka's names; internal/config refuses those that the gateway sets
}

// Settings are a client's settings. The operator's properties override defaults,
// and required overrides them.
func (c Connection) Settings(defaults, required librdkafka.ConfigMap) librdkafka.ConfigMap {
	settings := make(librdkafka.ConfigMap, len(defaults)+len(c.Properties)+len(required)+2)
	maps.Copy(settings, defaults)
	for name, value := range c.Properties {
		settings[name] = value
	}
	settings["bootstrap.servers"] = strings.Join(c.Brokers, ",")
	settings["allow.auto.create.topics"] = false
	maps.Copy(settings, required)
	return settings
}

// ProducerSettings are [Connection.Settings] with further defaults for producers.
func (c Connection) ProducerSettings(defaults, required librdkafka.ConfigMap) librdkafka.ConfigMap {
	all := librdkafka.ConfigMap{
		"reconnect.backoff.ms":     50,
		"reconnect.backoff.max.ms": 1000, // be back soon after Kafka is
		"socket.keepalive.enable":  true,
		"socket.nagle.disable":     true,
		"enable.metrics.push":      false,
	}
	maps.Copy(all, defaults)
	return c.Settings(all, required)
}

// StartProducer starts a librdkafka producer. Its log lines go to logger, and its errors
// that concern no single record to onError, one after the other. end closes it.
func StartProducer(settings librdkafka.ConfigMap, logger *slog.Logger, onError func(librdkafka.Error)) (p *librdkafka.Producer, end func(), err error) {
	logs := make(chan librdkafka.LogEvent, 64)
	settings["go.logs.channel.enable"], settings["go.logs.channel"] = true, logs
	if p, err = librdkafka.NewProducer(&settings); err != nil {
		return nil, nil, err
	}
	var pumps sync.WaitGroup
	stop := make(chan struct{})
	pumps.Go(func() {
		for ev := range p.Events() { // an unread channel would block librdkafka
			if e, ok := ev.(librdkafka.Error); ok {
				onError(e)
			}
		}
	})
	pumps.Go(func() { ForwardLogs(logger, logs, stop) })
	return p, func() { p.Close(); close(stop); pumps.Wait() }, nil
}

// NewConsumer returns a consumer that must be closed. required says what is read,
// and how.
func (c Connection) NewConsumer(required librdkafka.ConfigMap) (*librdkafka.Consumer, error) {
	settings := c.Settings(nil, required)
	consumer, err := librdkafka.NewConsumer(&settings)
	if err != nil {
		return nil, fmt.Errorf("create kafka consumer: %w", err)
	}
	return consumer, nil
}

// ForwardLogs passes librdkafka's log lines on until stop is closed. An unread
// channel would block the client.
func ForwardLogs(logger *slog.Logger, logs <-chan librdkafka.LogEvent, stop <-chan struct{}) {
	for {
		select {
		case l := <-logs:
			level := slog.LevelDebug
			if l.Level <= 4 { // syslog: warning and worse
				level = slog.LevelWarn
			}
			logger.Log(context.Background(), level, "librdkafka", "client", l.Name, "tag", l.Tag, "text", l.Message)
		case <-stop:
			return
		}
	}
}

// ErrorCode finds Kafka's code in an error's chain, whichever client it comes from:
// a broker's codes are the protocol's numbers in both.
func ErrorCode(err error) (librdkafka.ErrorCode, bool) {
	if err == nil {
		return librdkafka.ErrNoError, false // without an allocation
	}
	var e librdkafka.Error
	if errors.As(err, &e) {
		return e.Code(), true
	}
	var k *kerr.Error
	if errors.As(err, &k) {
		return librdkafka.ErrorCode(k.Code), true
	}
	return librdkafka.ErrNoError, false
}

// Partition names one partition of a topic.
type Partition struct {
	Topic  string
	Number int32
}

func (p Partition) String() string { return p.Topic + "[" + strconv.Itoa(int(p.Number)) + "]" }
