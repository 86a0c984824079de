package publish

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/kafka"
)

// stuckAfter: after a network cut or a paused broker, some clients never reconnect
// (test/torture). From an answer that names no broker, librdkafka learns that there is none
// (https://github.com/confluentinc/librdkafka/issues/5301). A new client costs nothing.
const stuckAfter = 15 * time.Second

// Producer places records and writes them through its backend.
type Producer struct {
	cfg     Config
	logger  *slog.Logger
	metrics *Metrics
	topics  *topics
	monitor *monitor
	backend backend
	asking  atomic.Pointer[kafka.Client] // asks Kafka for what is not a record's
	closing sync.WaitGroup               // of asking clients that were replaced
	closed  atomic.Bool

	// stuck is how long Kafka may be away before the clients are taken for the cause.
	// awaySince belongs to the goroutine that refreshes metadata.
	stuck           time.Duration
	awaySince       time.Time
	unansweredSince time.Time
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

// ClusterID is the id of the Kafka cluster, empty as long as Kafka has not answered. It is
// known before a record can be placed.
func (p *Producer) ClusterID() string {
	if id := p.topics.cluster.Load(); id != nil {
		return *id
	}
	return ""
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
	by, refused := p.monitor.quarantine.admit(topicName, place.Partition)
	if refused == nil {
		place.Owner, refused = p.backend.owner(topicName, place.Partition, by)
	}
	if refused != nil {
		return event.Placement{}, refused
	}
	return place, nil
}

// Publish writes a record to its placement and returns its position.
// Errors are *event.Error and say whether it was written.
func (p *Producer) Publish(ctx context.Context, r event.Record) (event.Position, error) {
	return p.PublishAsync(ctx, r)()
}

// PublishAsync begins to publish. The caller calls wait once, which ends as Publish
// does.
func (p *Producer) PublishAsync(ctx context.Context, r event.Record) (wait func() (event.Position, error)) {
	done, refused := p.send(r)
	return func() (event.Position, error) {
		if refused != nil {
			return event.Position{}, refused
		}
		return p.await(ctx, done)
	}
}

func (p *Producer) send(r event.Record) (done chan ack, refused *event.Error) {
	if refused := p.inadmissible(r); refused != nil {
		return nil, refused
	}
	if refused := p.monitor.quarantine.pass(r.Topic, r.Partition); refused != nil {
		return nil, refused
	}
	return p.backend.send(r)
}

// inadmissible is why the record's topic would not take it; nil if it would.
func (p *Producer) inadmissible(r event.Record) *event.Error {
	t, found := p.topics.lookup(r.Topic)
	if found != topicFound {
		return nil
	}
	refused := inadmissible(t, r, failpoint.Now())
	if refused == nil && p.cfg.Transactional {
		refused = refusesMarkers(t, r.Topic)
	}
	if refused != nil && refused.Kind == event.LogUnavailable { // the settings may have been put right
		p.topics.relearn(r.Topic)
	}
	return refused
}

func (p *Producer) await(ctx context.Context, done chan ack) (event.Position, error) {
	select {
	case a := <-done:
		ackChannels.Put(done)
		if a.err != nil {
			return event.Position{}, a.err
		}
		return a.at, nil
	case <-ctx.Done():
		// The record may still be written; the channel is left to its end.
		return event.Position{}, p.monitor.failed(stoppedWaiting(ctx))
	}
}

// Ping asks Kafka whether it answers. It also fails before the topics' metadata
// has arrived and while no producer is ready: nothing can be placed then.
func (p *Producer) Ping(ctx context.Context) error {
	if p.topics.known.Load() == nil {
		return errors.New("kafka has not told its topics yet")
	}
	begun := time.Now()
	_, err := p.admin().Brokers(kafka.TimeLeft(ctx, metadataTimeout))
	if err != nil && p.monitor.acked.Load() <= begun.UnixNano() { // under load an answer may just be late
		return err
	}
	return p.backend.ready()
}

// connect starts a client that asks, in the place of the one before.
func (p *Producer) connect() error {
	next, err := kafka.NewClient(p.cfg.connection(), p.logger, p.onAskingError)
	if err != nil {
		return err
	}
	if old := p.asking.Swap(next); old != nil {
		p.closing.Go(old.Close)
	}
	return nil
}

func (p *Producer) onAskingError(e librdkafka.Error) {
	p.metrics.errors.WithLabelValues(e.Code().String()).Inc()
	if e.Code() == librdkafka.ErrAllBrokersDown {
		p.monitor.allBrokersDown(e)
		return
	}
	p.logger.Warn("kafka error", "error", e)
}

func (p *Producer) admin() *kafka.Admin { return p.asking.Load().Admin() }

// learn passes on the topics that are about to be known.
func (p *Producer) learn(known map[string]topic) {
	p.monitor.quarantine.keep(known)
	p.backend.learn(known)
}

// refreshed is called after each metadata request with its start and its error. When
// Kafka has not answered for long, its clients are replaced: only the one that asks if records
// were acknowledged meanwhile, else all of them.
func (p *Producer) refreshed(begun time.Time, err error) {
	if err == nil {
		p.unansweredSince, p.awaySince = time.Time{}, time.Time{}
		p.monitor.up()
		return
	}
	alive := p.monitor.noMetadata(begun, err)
	if p.unansweredSince.IsZero() {
		p.unansweredSince = begun
	}
	if alive {
		p.awaySince = time.Time{}
	} else if p.awaySince.IsZero() {
		p.awaySince = begun
	}
	switch {
	case !alive && time.Since(p.awaySince) > p.stuck:
		p.unansweredSince, p.awaySince = time.Time{}, time.Time{}
		p.renew("kafka has not answered for long")
	case alive && time.Since(p.unansweredSince) > p.stuck:
		p.unansweredSince = time.Time{}
		p.logger.Warn("kafka acknowledges records, but has not answered questions for long: the client that asks is replaced", "error", err)
		p.reconnect()
	}
}

func (p *Producer) reconnect() {
	if err := p.connect(); err != nil {
		p.logger.Error("replacing the kafka client failed", "error", err)
	}
}

func (p *Producer) renew(reason string) {
	p.reconnect()
	p.backend.renew(reason)
}

// close waits, at most until ctx ends, for records in flight, and closes.
func (p *Producer) close(ctx context.Context) {
	if !p.closed.Swap(true) {
		p.backend.close(kafka.TimeLeft(ctx, p.cfg.DeliveryTimeout))
		p.asking.Load().Close()
		p.closing.Wait()
	}
}

// queued is the number of records that wait for an acknowledgement.
func (p *Producer) queued() int { return p.backend.queued() }
