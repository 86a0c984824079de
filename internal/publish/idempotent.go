package publish

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

const (
	// drainGrace is how long a replaced producer still takes records of claims
	// that name it.
	drainGrace = 5 * time.Second
	// stuckAfter: after a network cut or a paused broker, some clients never reconnect
	// (test/torture). A new client costs nothing.
	stuckAfter = 15 * time.Second
)

// idempotent is the backend without transactions: one incarnation at a time, and
// those that were just replaced (docs/adr/0004, 0011).
type idempotent struct {
	cfg     Config
	monitor *monitor
	logger  *slog.Logger
	metrics *Metrics

	limit     atomic.Int64 // bytes of a batch that every topic takes, those included that are about to be known
	replace   chan string  // a reason to start a new incarnation
	replacing sync.Mutex   // held while the incarnation is replaced or the limit is set: none may become active with an outdated limit
	drains    sync.WaitGroup
	stop      chan struct{} // closed by close

	// stuck is how long Kafka may be away before the client is taken for the cause.
	// awaySince belongs to the goroutine that refreshes metadata.
	stuck     time.Duration
	awaySince time.Time

	mu       sync.RWMutex
	active   *incarnation
	draining map[string]*incarnation
	closed   bool
}

func newIdempotent(cfg Config, m *monitor, logger *slog.Logger, metrics *Metrics) (*idempotent, error) {
	b := &idempotent{
		cfg: cfg, monitor: m, logger: logger, metrics: metrics, stuck: stuckAfter,
		replace: make(chan string, 1), stop: make(chan struct{}), draining: map[string]*incarnation{},
	}
	b.limit.Store(int64(batchLimitOf(defaultTopicBytes)))
	b.mu.Lock() // the first incarnation may report an error before it is active
	defer b.mu.Unlock()
	var err error
	b.active, err = b.start(defaultBatchBytes)
	return b, err
}

func (b *idempotent) start(batchBytes int) (*incarnation, error) {
	inc, err := newIncarnation(b.cfg, "", batchBytes, b.logger, b.onError)
	if err != nil {
		return nil, err
	}
	inc.overdue = newOverdue(b.cfg.DeliveryTimeout)
	inc.pumps.Go(func() { inc.overdue.run(inc.stop, func() { b.failOverdue(inc) }) })
	return inc, nil
}

func (b *idempotent) current() *incarnation {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.active
}

// byID finds an incarnation, nil if it is gone.
func (b *idempotent) byID(id string) *incarnation {
	b.mu.RLock()
	defer b.mu.RUnlock()
	switch {
	case b.closed:
		return nil
	case b.active.id == id:
		return b.active
	}
	return b.draining[id]
}

func (b *idempotent) owner(string, int32) (string, *event.Error) { return b.current().id, nil }

func (b *idempotent) ready() error { return nil }

func (b *idempotent) send(r event.Record) pending {
	inc := b.byID(r.Owner)
	if inc == nil || inc.fatal.Load() {
		return pending{refused: b.monitor.failed(ownerGone())}
	}
	h := pending{place: r.Placement, sent: r.Timestamp, inc: inc, waiting: inc.overdue.begin()}
	h.report, _ = reportChannels.Get().(chan librdkafka.Event)
	m, _ := pooledMessages.Get().(*pooledMessage)
	err := inc.produce(m.fill(r), h.report) // copies the record
	m.empty()
	pooledMessages.Put(m)
	if err != nil {
		h.waiting.Add(-1)
		reportChannels.Put(h.report)
		return pending{refused: b.monitor.failed(produceError(err))}
	}
	failpoint.At(failpoint.Handed)
	return h
}

func (b *idempotent) await(ctx context.Context, h pending) (event.Position, error) {
	defer h.waiting.Add(-1)
	select { // most reports of a batch have arrived, and this costs less than waiting for three events
	case ev := <-h.report:
		return b.reported(h, ev)
	default:
	}
	select { // unless it ends by its report, the record may still be written, and the channel is left to that report
	case ev := <-h.report:
		return b.reported(h, ev)
	case <-h.inc.failed:
		return event.Position{}, b.monitor.failed(notAcknowledged(librdkafka.NewError(librdkafka.ErrMsgTimedOut, "not acknowledged in time", false)))
	case <-ctx.Done():
		return event.Position{}, b.monitor.failed(stoppedWaiting(ctx))
	}
}

func (b *idempotent) reported(h pending, ev librdkafka.Event) (event.Position, error) {
	reportChannels.Put(h.report)
	at, err := b.monitor.position(ev, h.place, h.sent)
	if err == nil {
		failpoint.At(failpoint.Acked)
	}
	return at, err
}

// run replaces incarnations until ctx ends.
func (b *idempotent) run(ctx context.Context) {
	for {
		select {
		case reason := <-b.replace:
			if !b.outdated() {
				continue // it was replaced meanwhile
			}
			if err := b.replaceIncarnation(reason); err != nil {
				b.logger.Error("replacing the kafka producer failed", "error", err)
				backoff.Sleep(ctx, urgentInterval)
				b.requestReplace(reason)
			}
		case <-ctx.Done():
			return
		}
	}
}

// onError receives errors that are not about one record. Errors of a replaced
// incarnation say nothing about the active one.
func (b *idempotent) onError(from *incarnation, e librdkafka.Error) {
	b.metrics.errors.WithLabelValues(e.Code().String()).Inc()
	switch {
	case from != b.current():
		b.logger.Warn("kafka error of a replaced producer", "error", e)
	case e.IsFatal():
		b.logger.Error("kafka producer failed for good and is replaced", "error", e)
		b.requestReplace("fatal error")
	case e.Code() == librdkafka.ErrAllBrokersDown:
		b.monitor.allBrokersDown(e)
	default:
		b.logger.Warn("kafka error", "error", e)
	}
}

// answered notes that Kafka answered the client.
func (b *idempotent) answered() { b.awaySince = time.Time{} }

// unanswered notes that Kafka did not answer the question asked at begun. When that
// has gone on for long, and no record was acknowledged either, the client is replaced.
func (b *idempotent) unanswered(begun time.Time, acknowledges bool) {
	switch {
	case acknowledges:
		b.awaySince = time.Time{}
	case b.awaySince.IsZero():
		b.awaySince = begun
	case time.Since(b.awaySince) > b.stuck:
		b.awaySince = time.Time{}
		b.current().fail()
		b.requestReplace("kafka has not answered for long")
	}
}

func (b *idempotent) batchLimit() int { return int(b.limit.Load()) }

func batchLimitOf(smallest int) int { return max(1, min(defaultBatchBytes, smallest-batchOverhead)) }

// shrink sets the limit of batches, and replaces an incarnation that has a larger one.
func (b *idempotent) shrink(limit int) {
	b.replacing.Lock()
	defer b.replacing.Unlock()
	b.limit.Store(int64(limit))
	if limit >= b.current().batchBytes {
		return
	}
	const reason = "a topic takes smaller batches"
	if err := b.replaceIncarnationLocked(reason); err != nil {
		b.logger.Error("replacing the kafka producer failed", "error", err)
		b.requestReplace(reason)
	}
}

func (b *idempotent) requestReplace(reason string) {
	select {
	case b.replace <- reason:
	default: // one is due already
	}
}

// outdated reports whether the active incarnation is to be replaced.
func (b *idempotent) outdated() bool {
	current := b.current()
	return current.fatal.Load() || b.batchLimit() < current.batchBytes
}

// failOverdue ends an incarnation of which a record was not acknowledged in time:
// whatever else it has in flight is unknown too, and none of it may be sent again
// once a taker may read the log for it.
func (b *idempotent) failOverdue(inc *incarnation) {
	if inc.fail() {
		b.logger.Error("kafka did not acknowledge a record in time: its producer is given up with all records in flight", "records", inc.queued())
		b.requestReplace("a record was not acknowledged in time")
	}
}

// replaceIncarnation starts a new librdkafka producer. The old one still takes
// records of claims that name it, unless it failed, and is then closed.
func (b *idempotent) replaceIncarnation(reason string) error {
	b.replacing.Lock()
	defer b.replacing.Unlock()
	return b.replaceIncarnationLocked(reason)
}

func (b *idempotent) replaceIncarnationLocked(reason string) error {
	next, err := b.start(b.batchLimit())
	if err != nil {
		return err
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		next.close(0)
		return nil
	}
	old := b.active
	b.active = next
	grace := drainGrace
	if old.fatal.Load() {
		grace = 0
	} else {
		b.draining[old.id] = old
	}
	b.drains.Go(func() { b.drain(old, grace) })
	b.mu.Unlock()
	b.metrics.incarnations.Inc()
	b.logger.Info("kafka producer replaced", "reason", reason, "batch_bytes", next.batchBytes)
	return nil
}

func (b *idempotent) drain(old *incarnation, grace time.Duration) {
	select {
	case <-time.After(grace):
	case <-old.failed:
	case <-b.stop:
	}
	b.mu.Lock()
	delete(b.draining, old.id)
	b.mu.Unlock()
	old.close(b.cfg.DeliveryTimeout) // at once if it has failed
}

func (b *idempotent) close(limit time.Duration) {
	b.mu.Lock()
	b.closed = true
	close(b.stop)
	open := []*incarnation{b.active}
	for _, inc := range b.draining {
		open = append(open, inc)
	}
	b.mu.Unlock()
	for _, inc := range open {
		inc.close(limit)
	}
	b.drains.Wait()
}

func (b *idempotent) queued() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	n := b.active.queued()
	for _, inc := range b.draining {
		n += inc.queued()
	}
	return n
}
