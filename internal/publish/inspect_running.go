package publish

import (
	"context"
	"net"
	"slices"
	"strconv"

	"eventgateway/internal/kafka"
	"eventgateway/internal/preflight"
)

// Facts asks for the facts that may change while a gateway runs: brokers, topics, and
// the gateway's own topics. It uses the client that asks for metadata, and its
// connections: two questions for each hundred topics. What Kafka does not answer is not
// known; the error is that of the first question.
func (p *Producer) Facts(ctx context.Context, names []string) (preflight.KafkaFacts, error) {
	in := &inspector{cfg: p.cfg, admin: p.admin()}
	md, err := in.admin.Brokers(kafka.TimeLeft(ctx, inspectTimeout))
	if err != nil {
		return preflight.KafkaFacts{}, err
	}
	var facts preflight.KafkaFacts
	for _, b := range md.Brokers {
		facts.Brokers = append(facts.Brokers, preflight.BrokerFacts{ID: int(b.ID), Address: net.JoinHostPort(b.Host, strconv.Itoa(b.Port))})
	}
	for batch := range slices.Chunk(names, settingsBatch) {
		facts.Topics = append(facts.Topics, in.topics(ctx, batch)...)
	}
	facts.Own = in.own(ctx)
	return facts, nil
}
