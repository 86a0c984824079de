package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

var errClosed = errors.New("kafka client is closed")

// Admin asks Kafka about its topics, offsets and settings. It is safe for
// concurrent use, and for use while it is being closed: librdkafka's own client is
// not.
type Admin struct {
	mu     sync.RWMutex // held for reading during a call
	client *librdkafka.AdminClient
	closed bool
}

// AdminOf returns an admin client that uses a producer's connections. Close it
// before the producer.
func AdminOf(p *librdkafka.Producer) (*Admin, error) {
	client, err := librdkafka.NewAdminClientFromProducer(p)
	if err != nil {
		return nil, fmt.Errorf("create kafka admin client: %w", err)
	}
	return &Admin{client: client}, nil
}

// Use calls ask with librdkafka's client. It fails after Close.
func (a *Admin) Use(ask func(*librdkafka.AdminClient) error) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.closed {
		return errClosed
	}
	return ask(a.client)
}

// Topics asks for the brokers and all topics.
func (a *Admin) Topics(timeout time.Duration) (*librdkafka.Metadata, error) {
	return a.metadata(nil, true, timeout)
}

// Topic asks for one topic. It does not create it.
func (a *Admin) Topic(name string, timeout time.Duration) (*librdkafka.Metadata, error) {
	return a.metadata(&name, false, timeout)
}

// Brokers asks for the brokers, without the topics that this client does not use.
func (a *Admin) Brokers(timeout time.Duration) (*librdkafka.Metadata, error) {
	return a.metadata(nil, false, timeout)
}

func (a *Admin) metadata(topic *string, all bool, timeout time.Duration) (md *librdkafka.Metadata, err error) {
	err = a.Use(func(client *librdkafka.AdminClient) (err error) {
		md, err = client.GetMetadata(topic, all, int(timeout.Milliseconds()))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask kafka for metadata: %w", err)
	}
	return md, nil
}

// Close waits for calls in progress; later ones fail. It may be called twice.
func (a *Admin) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.closed = true
		a.client.Close()
	}
}

// TimeLeft is the time until ctx's deadline, but at most the given. It is never
// negative: librdkafka takes a negative timeout for none at all.
func TimeLeft(ctx context.Context, most time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return max(0, min(most, time.Until(deadline)))
	}
	return most
}
