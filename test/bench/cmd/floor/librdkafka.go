package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// properties is a flag of name=value pairs.
type properties kafka.ConfigMap

func (p properties) String() string { return "" }

// Set keeps numbers of go.* properties as numbers: the driver wants them typed, while
// librdkafka's own are strings.
func (p properties) Set(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok {
		return errors.New("want name=value")
	}
	p[name] = value
	if n, err := strconv.Atoi(value); err == nil && strings.HasPrefix(name, "go.") {
		p[name] = n
	}
	return nil
}

type librdkafka struct {
	producer *kafka.Producer
	waiters  sync.Pool
	reader   sync.WaitGroup
}

func newLibrdkafka(o options) (*librdkafka, error) {
	config := kafka.ConfigMap{
		"bootstrap.servers":         o.brokers,
		"acks":                      "all",
		"enable.idempotence":        true,
		"linger.ms":                 "0",
		"delivery.timeout.ms":       int(deliveryTimeout.Milliseconds()),
		"go.delivery.report.fields": "none",
	}
	for name, value := range o.properties {
		config[name] = value
	}
	producer, err := kafka.NewProducer(&config)
	if err != nil {
		return nil, fmt.Errorf("create producer: %w", err)
	}
	for _, topic := range o.topics {
		if _, err := producer.GetMetadata(&topic, false, int(metadataTimeout.Milliseconds())); err != nil {
			producer.Close()
			return nil, fmt.Errorf("read metadata of topic %s: %w", topic, err)
		}
	}
	l := &librdkafka{producer: producer}
	l.reader.Go(l.report)
	return l, nil
}

// report hands each delivery report to the request that waits for it.
func (l *librdkafka) report() {
	for e := range l.producer.Events() {
		switch e := e.(type) {
		case *kafka.Message:
			e.Opaque.(chan kafka.TopicPartition) <- e.TopicPartition // has room for one
		case kafka.Error:
			slog.Warn("kafka reported an error", "error", e)
		}
	}
}

func (l *librdkafka) produce(topic string, partition int32, value []byte) (int64, error) {
	waiter, ok := l.waiters.Get().(chan kafka.TopicPartition)
	if !ok {
		waiter = make(chan kafka.TopicPartition, 1)
	}
	err := l.producer.Produce(&kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: partition},
		Value:          value, // copied by Produce
		Opaque:         waiter,
	}, nil)
	if err != nil {
		return 0, err
	}
	written := <-waiter // within delivery.timeout.ms at the latest
	l.waiters.Put(waiter)
	return int64(written.Offset), written.Error
}

func (l *librdkafka) close() {
	l.producer.Flush(int(flushTimeout.Milliseconds()))
	l.producer.Close() // closes Events, which ends the reader
	l.reader.Wait()
}
