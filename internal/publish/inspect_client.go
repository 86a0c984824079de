package publish

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"eventgateway/internal/backoff"
	"eventgateway/internal/kafka"
	"eventgateway/internal/preflight"
)

const (
	// franzTries is how often franz-go asks a broker before it counts as not reached, and
	// franzPause the pause between: a connection that breaks once proves nothing.
	franzTries = 2
	franzPause = 100 * time.Millisecond
	// roundTrips are measured; the first, which may open a connection, does not count.
	roundTrips = 10
)

// clientName is how findings name a client.
var clientName = map[kafka.ClientName]string{kafka.ClientFranz: "franz-go", kafka.ClientLibrdkafka: "librdkafka"}

// client gathers the facts about the client that writes, given the brokers and topics
// that librdkafka, which asks, has found.
func (in *inspector) client(ctx context.Context, choice kafka.ClientChoice, brokers []preflight.BrokerFacts, topics []preflight.TopicFacts) *preflight.ClientFacts {
	facts := &preflight.ClientFacts{Name: clientName[choice.Client], Reason: choice.Reason}
	switch {
	case choice.Client == kafka.ClientFranz:
		in.reachWithFranz(ctx, brokers, facts)
	case !in.cfg.Transactional:
		facts.RoundTrip = in.roundTrip(ctx, topics)
	}
	return facts
}

// reachWithFranz asks each broker that librdkafka reaches with franz-go as well, at the
// address that it advertises: there the records go. Of the addresses in the
// configuration one is enough.
func (in *inspector) reachWithFranz(ctx context.Context, brokers []preflight.BrokerFacts, facts *preflight.ClientFacts) {
	var advertised []string
	for _, b := range brokers {
		if b.Unreachable == "" {
			advertised = append(advertised, b.Address)
		}
	}
	addresses := slices.Clone(advertised)
	for _, address := range in.cfg.Brokers {
		if !slices.Contains(addresses, address) {
			addresses = append(addresses, address)
		}
	}
	failed := in.askWithFranz(ctx, addresses)
	reached := func(address string) bool { return failed[address] == nil }
	for _, address := range addresses {
		inUse := slices.Contains(advertised, address) || !slices.ContainsFunc(in.cfg.Brokers, reached)
		switch err := failed[address]; {
		case !inUse:
		case err == nil:
			facts.Reached++
		case ctx.Err() != nil && franzObstacle(err) == preflight.NoAnswer:
			facts.Unasked++
		default:
			facts.Failures = append(facts.Failures, preflight.ClientFailure{Address: address, Obstacle: franzObstacle(err), What: err.Error()})
		}
	}
}

// askWithFranz returns the errors by address. The connections are those of a producer.
func (in *inspector) askWithFranz(ctx context.Context, addresses []string) map[string]error {
	errs := make([]error, len(addresses))
	failed := map[string]error{}
	opts, _, err := in.cfg.connection().FranzOptions()
	var client *kgo.Client
	if err == nil {
		client, err = kgo.NewClient(append(opts, kgo.SeedBrokers(addresses...))...)
	}
	if err != nil { // of files that changed since the client was chosen
		for _, address := range addresses {
			failed[address] = err
		}
		return failed
	}
	defer client.Close()
	var group errgroup.Group
	group.SetLimit(brokersAtOnce)
	for i, broker := range client.SeedBrokers() {
		group.Go(func() error {
			errs[i] = askBroker(ctx, broker)
			return nil
		})
	}
	_ = group.Wait() // each error is kept
	for i, address := range addresses {
		if errs[i] != nil {
			failed[address] = errs[i]
		}
	}
	return failed
}

// askBroker asks a broker for metadata about no topic, which needs a login.
func askBroker(ctx context.Context, broker *kgo.Broker) (err error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	for try := range franzTries {
		if try > 0 && !backoff.Sleep(ctx, franzPause) {
			break
		}
		request := kmsg.NewPtrMetadataRequest()
		request.Topics = []kmsg.MetadataRequestTopic{} // nil would be all
		if _, err = broker.Request(ctx, request); err == nil {
			return nil
		}
	}
	return err
}

// franzObstacle is where franz-go's connection fails.
func franzObstacle(err error) preflight.Obstacle {
	var (
		slow      net.Error
		handshake *kafka.TLSError
		alert     *net.OpError // with TLS 1.3 a broker refuses a client's certificate late
		refused   *kerr.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.As(err, &slow) && slow.Timeout():
		return preflight.NoAnswer
	case errors.As(err, &handshake), errors.As(err, &alert) && alert.Op == "remote error":
		return preflight.NoTLS
	case errors.As(err, &refused) && (refused.Code == kerr.SaslAuthenticationFailed.Code || refused.Code == kerr.UnsupportedSaslMechanism.Code):
		return preflight.NoLogin
	}
	return preflight.NoConnection
}

// roundTrip is the median time of some questions about one topic, 0 if there is none or
// Kafka does not answer.
func (in *inspector) roundTrip(ctx context.Context, topics []preflight.TopicFacts) time.Duration {
	at := slices.IndexFunc(topics, func(t preflight.TopicFacts) bool { return t.Presence == preflight.Present })
	if at < 0 {
		return 0
	}
	var took []time.Duration
	for i := range roundTrips {
		begun := time.Now()
		if _, err := in.admin.Topic(topics[at].Name, kafka.TimeLeft(ctx, inspectTimeout)); err != nil {
			return 0
		}
		if i > 0 {
			took = append(took, time.Since(begun))
		}
	}
	slices.SortFunc(took, cmp.Compare[time.Duration])
	return took[len(took)/2]
}
