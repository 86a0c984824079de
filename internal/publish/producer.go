package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

// Config sets up a Producer.
type Config struct {
	Brokers         []string
	Properties      map[string]string // librdkafka properties, checked by internal/config
	DeliveryTimeout time.Duration     // until a record's outcome is known or called unknown
	InFlightLimit   int64             // bytes of event data that may be under way
	MaxEventBytes   int               // the largest event data
	CreateTopics    CreateTopics
	// Lease is how long a claim is held: what was claimed under it is appended
	// before it ends, or never.
	Lease time.Duration
	// Transactional publishes in Kafka transactions, whose producers have ids
	// that begin with TransactionalIDPrefix. Kafka itself aborts one that is open
	// for longer than TransactionTimeout.
	Transactional         bool
	TransactionalIDPrefix string
	TransactionTimeout    time.Duration
}

// CreateTopics says whether and how missing topics are created.
type CreateTopics struct {
	Enabled     bool
	Partitions  int
	Replication int
}

// drainGrace is how long a replaced producer still takes records of claims
// that name it.
const drainGrace = 5 * time.Second

// stuckAfter: a client that was cut off or paused with its broker has been seen
// not to find its way back (test/torture); a new one costs nothing.
const stuckAfter = 15 * time.Second

// Producer writes records. It is safe for concurrent use.
type Producer struct {
	cfg     Config
	logger  *slog.Logger
	metrics *Metrics
	topics  *topics
	down    atomic.Bool // no broker answers: refuse at once
	// stuck is how long Kafka may be away until the client is thought to be what
	// hangs; awaySince belongs to the refreshing of metadata.
	stuck     time.Duration
	awaySince time.Time
	acked     atomic.Int64 // Unix nanoseconds of the last acknowledgement
	replace   chan string  // a reason to start a new incarnation
	replacing sync.Mutex   // held by who does so, and by who sets the limit, so that none is current with an old one
	limit     atomic.Int64 // bytes of a batch, see batchLimit

	mu       sync.RWMutex
	current  *incarnation
	draining map[string]*incarnation
	closed   bool
	stop     chan struct{} // closed by Close
	lanes    *lanes        // nil unless transactional

	searches *searches       // recovery reads
	running  context.Context // of those reads: ended by Close
	end      context.CancelFunc
	drains   sync.WaitGroup
}

// New returns a Producer that connects in the background. Errors are those of
// the configuration, for example a property that librdkafka does not know.
func New(cfg Config, logger *slog.Logger, metrics *Metrics) (*Producer, error) {
	p := &Producer{stuck: stuckAfter, cfg: cfg, logger: logger, metrics: metrics, replace: make(chan string, 1), stop: make(chan struct{}), draining: map[string]*incarnation{}}
	p.limit.Store(int64(batchLimitOf(defaultTopicBytes)))
	p.topics = newTopics(p.present, p.prepare, cfg.CreateTopics, logger)
	p.searches = newSearches(p.recoverAll)
	p.running, p.end = context.WithCancel(context.Background())
	p.mu.Lock() // the first incarnation may report an error before it is current
	first, err := p.incarnate(defaultBatchBytes)
	p.current = first
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if cfg.Transactional {
		p.lanes = newLanes(p)
	}
	metrics.watch(p)
	return p, nil
}

// SetTopics says which topics there are to write to.
func (p *Producer) SetTopics(names []string) { p.topics.want(names) }

// Run keeps metadata fresh and replaces failed incarnations until ctx ends.
func (p *Producer) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { p.topics.run(ctx, p.refreshed) })
	if p.lanes != nil {
		wg.Go(func() { p.lanes.run(ctx) })
	}
	for {
		select {
		case reason := <-p.replace:
			if !p.outdated() {
				continue // it was replaced meanwhile
			}
			if err := p.reincarnate(reason); err != nil {
				p.logger.Error("replacing the kafka producer failed", "error", err)
				waitUntil(ctx, time.Now().Add(urgentInterval))
				p.requestReplace(reason)
			}
		case <-ctx.Done():
			wg.Wait()
			return
		}
	}
}

// Reached reports when Kafka last answered, zero if never, and whether it is
// known to be away now.
func (p *Producer) Reached() (last time.Time, down bool) {
	if ns := p.topics.reached.Load(); ns != 0 {
		last = time.Unix(0, ns)
	}
	return last, p.down.Load()
}

// Complete reports whether Kafka has answered and has all topics, and, in
// transactional mode, whether a transactional producer is ready.
func (p *Producer) Complete() bool {
	return p.topics.known.Load() != nil && !p.topics.anyMissing() && (p.lanes == nil || p.lanes.ready())
}

// Place chooses a record's partition: by key as Java producers do, or by
// spread for a nil key. The error is an *event.Error, not written.
func (p *Producer) Place(topicName string, key []byte, spread uint64) (event.Placement, error) {
	t, found := p.topics.lookup(topicName)
	switch {
	case found == neverReached || p.down.Load():
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
	if p.lanes == nil {
		place.Owner = p.present().id
		return place, nil
	}
	var ok bool
	if place.Owner, ok = p.lanes.pick(topicName, place.Partition); !ok {
		return event.Placement{}, event.Refuse(event.LogUnavailable,
			"No transactional Kafka producer is ready at present. Nothing was written; send it again.")
	}
	return place, nil
}

// Publish writes a record to its placement and returns where it landed.
// Errors are *event.Error and say whether it was written.
func (p *Producer) Publish(ctx context.Context, r event.Record) (event.Position, error) {
	h := p.hand(r)
	return h.wait(ctx)
}

// PublishAsync hands a record over, as Publish does, and leaves the waiting to the caller,
// who must call wait once.
func (p *Producer) PublishAsync(ctx context.Context, r event.Record) (wait func() (event.Position, error)) {
	h := p.hand(r)
	return func() (event.Position, error) { return h.wait(ctx) }
}

// pending is a record that was handed over, or refused.
type pending struct {
	p       *Producer
	place   event.Placement
	handed  time.Time
	refused *event.Error

	inc     *incarnation
	waiting *atomic.Int64
	report  chan kafka.Event

	lane *lane // in transactional mode
	done chan answer
}

func (p *Producer) hand(r event.Record) pending {
	h := pending{p: p, place: r.Placement, handed: r.Timestamp}
	if t, found := p.topics.lookup(r.Topic); found == topicFound && recordSize(r) > t.maxBytes {
		h.refused = event.Refuse(event.EventTooLarge,
			"With its headers the event is %d bytes; the Kafka topic %s takes at most %d.", recordSize(r), r.Topic, t.maxBytes)
		return h
	}
	if p.lanes != nil {
		if h.lane = p.lanes.lane(r.Owner); h.lane == nil {
			h.refused = p.failed(ownerGone())
			return h
		}
		h.done, h.refused = h.lane.enqueue(r)
		return h
	}
	if h.inc = p.incarnation(r.Owner); h.inc == nil || h.inc.fatal.Load() {
		h.refused = p.failed(ownerGone())
		return h
	}
	h.waiting = h.inc.overdue.begin()
	h.report, _ = reportChannels.Get().(chan kafka.Event)
	m, _ := parcels.Get().(*parcel)
	err := h.inc.produce(m.pack(r), h.report) // copies the record
	m.empty()
	parcels.Put(m)
	if err != nil {
		h.waiting.Add(-1)
		reportChannels.Put(h.report)
		h.refused = p.failed(produceError(err))
		return h
	}
	failpoint.At(failpoint.Handed)
	return h
}

// wait waits for the record's fate.
func (h *pending) wait(ctx context.Context) (event.Position, error) {
	switch {
	case h.refused != nil:
		return event.Position{}, h.refused
	case h.lane != nil:
		return h.lane.await(ctx, h.done)
	}
	defer h.waiting.Add(-1)
	select { // of a batch, most reports are there, and this costs less than to listen to all
	case ev := <-h.report:
		return h.reported(ev)
	default:
	}
	select { // unless it ends by its report, the record may still be written, and the channel is left to that report
	case ev := <-h.report:
		return h.reported(ev)
	case <-h.inc.failed:
		return event.Position{}, h.p.failed(notAcknowledged(kafka.NewError(kafka.ErrMsgTimedOut, "not acknowledged in time", false)))
	case <-ctx.Done():
		return event.Position{}, h.p.failed(stoppedWaiting(ctx))
	}
}

func (h *pending) reported(ev kafka.Event) (event.Position, error) {
	reportChannels.Put(h.report)
	at, err := h.p.position(ev, h.place, h.handed)
	if err == nil {
		failpoint.At(failpoint.Acked)
	}
	return at, err
}

// position reads the delivery report of a record.
func (p *Producer) position(ev kafka.Event, place event.Placement, handed time.Time) (event.Position, error) {
	now := failpoint.Now()
	m, ok := ev.(*kafka.Message)
	if !ok {
		return event.Position{}, p.failed(event.Failure(fmt.Errorf("delivery report is a %T", ev)))
	}
	at := event.Position{Partition: m.TopicPartition.Partition, Offset: int64(m.TopicPartition.Offset)}
	if err := m.TopicPartition.Error; err != nil {
		var e kafka.Error
		if !errors.As(err, &e) {
			e = kafka.NewError(kafka.ErrFail, err.Error(), false)
		}
		return event.Position{}, p.failed(deliveryError(e, now.Sub(handed)))
	}
	p.acked.Store(now.UnixNano())
	p.topics.ackedNow(place.Topic, at.Partition, handed)
	p.up()
	switch {
	case at.Offset < 0:
		// Acknowledged as a duplicate that the broker no longer knows the
		// place of: it is written, but a receipt would have to invent where.
		return event.Position{}, p.failed(event.MaybeWritten(event.OutcomeUnknown, nil,
			"Kafka has the event but did not say where. Retry with the same Idempotency-Key to find out."))
	case at.Partition != place.Partition:
		return event.Position{}, p.failed(event.Failure(
			fmt.Errorf("record for %s acknowledged in partition %d", partitionLabel(place.Topic, place.Partition), at.Partition)))
	}
	return at, nil
}

// failed counts a failure. If it is Kafka's or its topic's, fresh metadata tells
// whether it lasts; librdkafka, too, keeps refusing some topics until it has asked.
func (p *Producer) failed(e *event.Error) *event.Error {
	code := "none"
	c, ok := errorCode(e.Err)
	if ok {
		code = c.String()
	}
	if e.Kind == event.LogUnavailable || ok && c == kafka.ErrMsgTimedOut {
		p.topics.refreshSoon()
	}
	p.metrics.failures.WithLabelValues(string(e.Outcome), code).Inc()
	return e
}

// recordSize is at least what the record takes in a batch of its own
// (record batch format v2: 61 bytes of batch, up to 5 bytes a length).
func recordSize(r event.Record) int {
	size := 61 + 21 + len(r.Key) + len(r.Value) + 10
	for _, h := range r.Headers {
		size += len(h.Name) + len(h.Value) + 10
	}
	return size
}

// Ping asks Kafka whether it answers. It also fails while the topics' metadata
// has not come in: nothing can be placed before.
func (p *Producer) Ping(ctx context.Context) error {
	if p.topics.known.Load() == nil {
		return errors.New("kafka has not told its topics yet")
	}
	timeout := metadataTimeout
	if deadline, ok := ctx.Deadline(); ok {
		// To librdkafka, a negative time-out means none.
		timeout = max(0, min(timeout, time.Until(deadline)))
	}
	_, err := p.present().metadata(false, timeout)
	if err == nil && p.lanes != nil && !p.lanes.ready() {
		return errors.New("no transactional producer is ready")
	}
	return err
}
