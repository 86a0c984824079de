package publish

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/kafka"
)

// Producer places records and writes them through its backend.
type Producer struct {
	cfg     Config
	metrics *Metrics
	topics  *topics
	monitor *monitor
	backend backend
	// plain is the backend of idempotent mode. In transactional mode its client
	// asks for metadata and writes the registry, and backend is a *txPool that owns
	// plain.
	plain  *idempotent
	closed atomic.Bool
}

// SetTopics says which topics events can be written to.
func (p *Producer) SetTopics(names []string) { p.topics.want(names) }

// Run keeps metadata fresh and replaces failed producers until ctx ends.
func (p *Producer) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { p.topics.run(ctx, p.refreshed) })
	p.backend.run(ctx)
	wg.Wait()
}

// Reached reports when Kafka last answered, zero if never, and whether it is
// known to be down now.
func (p *Producer) Reached() (last time.Time, down bool) {
	if ns := p.topics.reached.Load(); ns != 0 {
		last = time.Unix(0, ns)
	}
	return last, p.monitor.down.Load()
}

// Complete reports whether Kafka has answered, has all topics, and a producer is
// ready.
func (p *Producer) Complete() bool {
	return p.topics.known.Load() != nil && !p.topics.anyMissing() && p.backend.ready() == nil
}

// Place chooses a record's partition: by key as Java producers do, or by
// spread for a nil key. The error is an *event.Error, not written.
func (p *Producer) Place(topicName string, key []byte, spread uint64) (event.Placement, error) {
	t, found := p.topics.lookup(topicName)
	switch {
	case found == neverReached || p.monitor.down.Load():
		p.topics.refreshSoon()
		return event.Placement{}, event.Refuse(event.LogUnavailable,
			"Kafka cannot be reached at present. Nothing was written; send it again.")
	case found == noSuchTopic:
		p.topics.refreshSoon()
		return event.Placement{}, event.Refuse(event.LogUnavailable,
			"The Kafka topic %s of this event type does not exist yet. Nothing was written; the operator must create the topic.", topicName)
	}
	place := event.Placement{Topic: topicName}
	if key != nil {
		place.Partition = partitionOf(key, t.partitions)
	} else {
		place.Partition = int32(spread % uint64(t.partitions)) //nolint:gosec // below the number of partitions
	}
	var refused *event.Error
	if place.Owner, refused = p.backend.owner(topicName, place.Partition); refused != nil {
		return event.Placement{}, refused
	}
	return place, nil
}

// Publish writes a record to its placement and returns its position.
// Errors are *event.Error and say whether it was written.
func (p *Producer) Publish(ctx context.Context, r event.Record) (event.Position, error) {
	return p.await(ctx, p.send(r))
}

// PublishAsync begins to publish. The caller calls wait once, which ends as Publish
// does.
func (p *Producer) PublishAsync(ctx context.Context, r event.Record) (wait func() (event.Position, error)) {
	h := p.send(r)
	return func() (event.Position, error) { return p.await(ctx, h) }
}

func (p *Producer) send(r event.Record) pending {
	if t, found := p.topics.lookup(r.Topic); found == topicFound {
		if refused := inadmissible(t, r, failpoint.Now()); refused != nil {
			if refused.Kind == event.LogUnavailable { // the settings may have been put right
				p.topics.relearn(r.Topic)
			}
			return pending{refused: refused}
		}
	}
	return p.backend.send(r)
}

func (p *Producer) await(ctx context.Context, h pending) (event.Position, error) {
	if h.refused != nil {
		return event.Position{}, h.refused
	}
	return p.backend.await(ctx, h)
}

// Ping asks Kafka whether it answers. It also fails before the topics' metadata
// has arrived and while no producer is ready: nothing can be placed then.
func (p *Producer) Ping(ctx context.Context) error {
	if p.topics.known.Load() == nil {
		return errors.New("kafka has not told its topics yet")
	}
	if _, err := p.admin().Brokers(kafka.TimeLeft(ctx, metadataTimeout)); err != nil {
		return err
	}
	return p.backend.ready()
}

// admin asks through the current client: one that failed is replaced.
func (p *Producer) admin() *kafka.Admin { return p.plain.current().admin }

// topicsChanged is called before topics are placed in.
func (p *Producer) topicsChanged(known map[string]topic) {
	smallest := defaultTopicBytes
	for _, t := range known {
		smallest = min(smallest, t.maxBytes)
	}
	p.fitBatches(smallest)
}

// fitBatches makes batches fit the topics that are about to be known, before the
// first record can be placed in one of them: a batch that is too large fails all its
// records.
func (p *Producer) fitBatches(smallest int) { p.backend.shrink(batchLimitOf(smallest)) }

// refreshed is called after each metadata request with its start and its error.
func (p *Producer) refreshed(begun time.Time, err error) {
	if err != nil {
		p.plain.unanswered(begun, p.monitor.noMetadata(begun, err))
		return
	}
	p.plain.answered()
	p.monitor.up()
}

// close waits, at most until ctx ends, for records in flight, and closes.
func (p *Producer) close(ctx context.Context) {
	if !p.closed.Swap(true) {
		p.backend.close(kafka.TimeLeft(ctx, p.cfg.DeliveryTimeout))
	}
}

// queued is the number of records that wait for an acknowledgement.
func (p *Producer) queued() int { return p.backend.queued() }
