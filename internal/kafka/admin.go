package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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

	known sync.Map // names of topics that librdkafka keeps for this client
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

// Topic asks for one topic. It does not create it.
func (a *Admin) Topic(name string, timeout time.Duration) (*librdkafka.Metadata, error) {
	md, err := a.metadata(&name, false, timeout)
	if err == nil {
		a.known.Store(name, true)
	}
	return md, err
}

// Brokers asks for the brokers and the topics that this client has asked for or
// produced to. As long as there are none, librdkafka asks for all topics.
func (a *Admin) Brokers(timeout time.Duration) (*librdkafka.Metadata, error) {
	return a.metadata(nil, false, timeout)
}

// TopicNames asks for the names of all topics that the user may describe.
func (a *Admin) TopicNames(timeout time.Duration) ([]string, error) {
	md, err := a.metadata(nil, true, timeout)
	if err != nil {
		return nil, err
	}
	return slices.Collect(maps.Keys(md.Topics)), nil
}

// ClusterID asks for the id of the Kafka cluster.
func (a *Admin) ClusterID(ctx context.Context) (id string, err error) {
	err = a.Use(func(client *librdkafka.AdminClient) (err error) {
		id, err = client.ClusterID(ctx)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("ask kafka for the id of its cluster: %w", err)
	}
	return id, nil
}

// metadata asks again while there is time: librdkafka repeats a question only to the
// broker that it chose, and that may have stopped without a word.
func (a *Admin) metadata(topic *string, all bool, timeout time.Duration) (md *librdkafka.Metadata, err error) {
	first := firstTry(timeout)
	for _, wait := range []time.Duration{first, timeout - first} {
		err = a.Use(func(client *librdkafka.AdminClient) (err error) {
			md, err = client.GetMetadata(topic, all, int(wait.Milliseconds()))
			return err
		})
		if err == nil {
			return md, nil
		}
	}
	return nil, fmt.Errorf("ask kafka for metadata: %w", err)
}

// firstTry is how long to wait for the broker that is asked first. When its socket
// has timed out, which librdkafka looks for once a second, it is not chosen again; an
// answer from another one takes less than a second.
func firstTry(timeout time.Duration) time.Duration {
	return max(timeout/2, min(timeout-time.Second, askSocketTimeout+time.Second))
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
