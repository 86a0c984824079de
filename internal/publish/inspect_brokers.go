package publish

import (
	"context"
	"net"
	"slices"
	"strconv"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"golang.org/x/sync/errgroup"

	"eventgateway/internal/kafka"
	"eventgateway/internal/preflight"
)

// brokersAtOnce bounds the connections that are opened at the same time.
const brokersAtOnce = 8

// brokers lists the cluster's brokers and asks each, at the address that it
// advertises, for its settings.
func (in *inspector) brokers(ctx context.Context) (clusterID string, facts []preflight.BrokerFacts) {
	md, err := in.admin.Brokers(kafka.TimeLeft(ctx, inspectTimeout))
	if err != nil {
		return "", nil
	}
	_ = in.ask(ctx, func(ctx context.Context, admin *librdkafka.AdminClient) (err error) {
		clusterID, err = admin.ClusterID(ctx)
		return err // the id is shown only; the other facts do not depend on it
	})
	facts = make([]preflight.BrokerFacts, len(md.Brokers))
	var group errgroup.Group
	group.SetLimit(brokersAtOnce)
	for i, b := range md.Brokers {
		group.Go(func() error {
			facts[i] = in.broker(ctx, b)
			return nil
		})
	}
	_ = group.Wait() // each fact says what failed
	slices.SortFunc(facts, func(a, b preflight.BrokerFacts) int { return a.ID - b.ID })
	return clusterID, facts
}

// broker asks one broker: questions about a broker's settings go to itself.
func (in *inspector) broker(ctx context.Context, b librdkafka.BrokerMetadata) preflight.BrokerFacts {
	facts := preflight.BrokerFacts{ID: int(b.ID), Address: net.JoinHostPort(b.Host, strconv.Itoa(b.Port))}
	settings, err := in.settings(ctx, librdkafka.ResourceBroker, strconv.Itoa(int(b.ID)))
	switch {
	case err == nil:
		facts.Settings = settings
	case !NotAllowed(err):
		facts.Unreachable = reason(err)
	}
	return facts
}

// settings are those in force for one topic or broker.
func (in *inspector) settings(ctx context.Context, kind librdkafka.ResourceType, of string) (preflight.Settings, error) {
	var results []librdkafka.ConfigResourceResult
	err := in.ask(ctx, func(ctx context.Context, admin *librdkafka.AdminClient) (err error) {
		results, err = admin.DescribeConfigs(ctx, []librdkafka.ConfigResource{{Type: kind, Name: of}},
			librdkafka.SetAdminRequestTimeout(inspectTimeout))
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(results) != 1:
		return nil, librdkafka.NewError(librdkafka.ErrFail, "kafka did not answer for "+of, false)
	case results[0].Error.Code() != librdkafka.ErrNoError:
		return nil, results[0].Error
	}
	return settingsOf(results[0]), nil
}

func settingsOf(r librdkafka.ConfigResourceResult) preflight.Settings {
	settings := make(preflight.Settings, len(r.Config))
	for name, entry := range r.Config {
		if !entry.IsSensitive {
			settings[name] = entry.Value
		}
	}
	return settings
}
