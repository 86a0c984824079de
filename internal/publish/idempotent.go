package publish

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

const (
	// drainGrace is how long a replaced producer still takes records of claims
	// that name it.
	drainGrace = 5 * time.Second
	// A producer for which Kafka never answered is replaced after replacePause, which
	// doubles up to longestReplacePause: Kafka gives it no id, say. Others are
	// replaced at once.
	replacePause        = time.Second
	longestReplacePause = 30 * time.Second
	// The slots: for records that are written apart, for probes, and for all others.
	slotApart   = 0
	slotProbes  = 1
	firstShared = 2
	// sharedFranz is how many franz-go clients share the partitions: those with the
	// same replicas have the same client, so that a broker that hangs delays only
	// partitions that it replicates.
	sharedFranz = 8
	// sharedLibrdkafka: topics with a small max.message.bytes have a producer of their
	// own, because librdkafka's batch.size is for all topics.
	sharedLibrdkafka = 2
)

// idempotent is the backend without transactions. Each slot has one incarnation at a
// time; those that were just replaced take records of claims that name them for a
// while (docs/adr/0004, 0011).
type idempotent struct {
	cfg     Config
	franz   bool // or librdkafka
	monitor *monitor
	memory  *memory
	logger  *slog.Logger
	metrics *Metrics

	connection []kgo.Opt  // of franz-go
	franzLog   kgo.Logger // one for all clients, which say the same
	slots      []*slot
	routes     atomic.Pointer[routes]
	sets       map[uint64]uint8 // slots of sets of replicas; of learn alone
	drains     sync.WaitGroup
	stop       chan struct{} // closed by close

	running context.Context // ended when close has waited for long enough
	end     context.CancelFunc

	mu     sync.RWMutex
	byID   map[string]*incarnation // active ones, and those that were just replaced
	closed bool
}

// slot is a place for an incarnation. It is empty until something is routed to it.
type slot struct {
	active atomic.Pointer[incarnation]

	turn    sync.Mutex   // held while the incarnation is replaced
	batch   atomic.Int64 // bytes of a batch; of librdkafka
	replace chan string  // a reason to start a new incarnation
}

func newIdempotent(cfg Config, franz bool, m *monitor, logger *slog.Logger, metrics *Metrics) (*idempotent, error) {
	b := &idempotent{
		cfg: cfg, franz: franz, monitor: m, memory: newMemory(cfg.InFlightLimit), logger: logger, metrics: metrics,
		franzLog: kafka.FranzLogger(logger), stop: make(chan struct{}), byID: map[string]*incarnation{}, sets: map[uint64]uint8{},
	}
	n := sharedLibrdkafka
	if franz {
		n = sharedFranz
	}
	for range firstShared + n {
		s := &slot{replace: make(chan string, 1)}
		s.batch.Store(defaultBatchBytes)
		b.slots = append(b.slots, s)
	}
	b.routes.Store(&routes{})
	b.running, b.end = context.WithCancel(context.Background())
	if franz {
		var err error
		if b.connection, _, err = cfg.connection().FranzOptions(); err != nil {
			return nil, err
		}
	}
	return b, b.fill(b.slots[firstShared]) // shows errors of the configuration
}

// fill starts the slot's first incarnation, unless it has one.
func (b *idempotent) fill(s *slot) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.active.Load() != nil {
		return nil
	}
	inc, err := b.start(s)
	if err != nil {
		return err
	}
	b.mu.Lock()
	closed := b.closed
	if !closed {
		b.byID[inc.id] = inc
		s.active.Store(inc)
	}
	b.mu.Unlock()
	if inc.failed.Load() {
		s.ask("it failed at its start")
	}
	if closed {
		inc.close(b.running, 0)
		return errClosed
	}
	return nil
}

func (b *idempotent) start(s *slot) (*incarnation, error) {
	inc := newIncarnation(b.cfg.DeliveryTimeout, b.monitor, b.memory, b.logger, s.ask)
	inc.events = !b.cfg.Transactional
	var c client
	var err error
	if b.franz {
		c, err = newFranzClient(b.connection, b.cfg.DeliveryTimeout, b.largestBatch, inc, b.onConnectionError, b.franzLog)
	} else {
		c, err = newLibrdkafkaClient(b.cfg, int(s.batch.Load()), inc, b.onLibrdkafkaError, b.logger)
	}
	if err != nil {
		return nil, err
	}
	inc.start(c)
	return inc, nil
}

func (s *slot) ask(reason string) {
	select {
	case s.replace <- reason:
	default: // one is due already
	}
}

// largestBatch is the most bytes that a batch for a topic may have. franz-go asks once
// for each topic and client.
func (b *idempotent) largestBatch(name string) int32 {
	most := max(defaultBatchBytes, b.cfg.MaxEventBytes+64<<10)
	if limit, ok := b.routes.Load().limits[name]; ok {
		most = min(most, limit)
	}
	return int32(most) //nolint:gosec // Kafka's own limit is an int32
}

// topics are all that are known.
func (b *idempotent) topics() []string { return slices.Collect(maps.Keys(b.routes.Load().limits)) }

func (b *idempotent) onConnectionError(err error) {
	b.metrics.errors.WithLabelValues(librdkafka.ErrTransport.String()).Inc()
	b.logger.Debug("a connection to a kafka broker failed", "error", err)
}

// onLibrdkafkaError receives errors that concern no single record.
func (b *idempotent) onLibrdkafkaError(e librdkafka.Error) {
	b.metrics.errors.WithLabelValues(e.Code().String()).Inc()
	b.logger.Warn("kafka error", "error", e)
}

func (b *idempotent) owner(topic string, partition int32, by writer) (string, *event.Error) {
	number := slotApart
	switch by {
	case shared:
		number = b.routes.Load().slotOf(topic, partition)
	case probing:
		number = slotProbes
	case apart:
	}
	s := b.slots[number]
	inc := s.active.Load()
	if inc == nil {
		if err := b.fill(s); err != nil {
			return "", event.RefuseCause(event.LogUnavailable, err, "The Kafka producer cannot be started at present. Nothing was written; send it again.")
		}
		inc = s.active.Load()
	}
	if inc.failed.Load() {
		return "", ownerGone()
	}
	return inc.id, nil
}

// find is the incarnation with this id, nil if it is gone.
func (b *idempotent) find(id string) *incarnation {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return nil
	}
	return b.byID[id]
}

func (b *idempotent) send(r event.Record) (chan ack, *event.Error) {
	inc := b.find(r.Owner)
	if inc == nil {
		return nil, b.monitor.failed(ownerGone())
	}
	return inc.send(r)
}

// ready reports whether the incarnation that every gateway has takes records.
func (b *idempotent) ready() error {
	if inc := b.slots[firstShared].active.Load(); inc == nil || inc.failed.Load() {
		return errors.New("no kafka producer is ready")
	}
	return nil
}

// learn replaces incarnations whose batches are too large for a topic. franz-go keeps
// the limit that a topic had when it was first written to.
func (b *idempotent) learn(known map[string]topic) {
	next := b.routesOf(known)
	if b.franz {
		if shrunk(b.routes.Swap(next).limits, next.limits) {
			b.replaceAll("a topic takes smaller batches")
		}
		return
	}
	b.slots[firstShared+1].shrink(b, batchLimitOf(next.smallest))
	b.slots[slotApart].shrink(b, batchLimitOf(next.smallest))
	b.slots[slotProbes].shrink(b, batchLimitOf(next.smallest))
	b.routes.Store(next)
}

// shrink sets the limit of batches, and replaces an incarnation that has a larger one.
func (s *slot) shrink(b *idempotent, limit int) {
	if before := s.batch.Swap(int64(limit)); int64(limit) < before && s.active.Load() != nil {
		b.replaceNow(s, "a topic takes smaller batches")
	}
}

func (b *idempotent) replaceAll(reason string) {
	for _, s := range b.slots {
		if s.active.Load() != nil {
			b.replaceNow(s, reason)
		}
	}
}

func (b *idempotent) replaceNow(s *slot, reason string) {
	if err := b.replaceIncarnation(s, reason); err != nil {
		b.logger.Error("replacing the kafka producer failed", "error", err)
		s.ask(reason)
	}
}

// renew replaces all incarnations, with what they have in flight: no broker has
// answered for long, and some clients never connect again.
func (b *idempotent) renew(reason string) {
	for _, s := range b.slots {
		if inc := s.active.Load(); inc != nil {
			inc.fail(reason, nil)
		}
	}
}

// run replaces incarnations that failed until ctx ends.
func (b *idempotent) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range b.slots {
		wg.Go(func() { b.keep(ctx, s) })
	}
	wg.Wait()
}

func (b *idempotent) keep(ctx context.Context, s *slot) {
	pauses := backoff.NewExponential(replacePause, longestReplacePause)
	for {
		select {
		case reason := <-s.replace:
			inc := s.active.Load()
			if inc == nil || !inc.failed.Load() {
				continue // it was replaced meanwhile
			}
			if inc.answered.Load() {
				pauses.Reset()
			} else {
				backoff.Sleep(ctx, pauses.Next())
			}
			if ctx.Err() == nil && s.active.Load() == inc {
				b.replaceNow(s, reason)
			}
		case <-ctx.Done():
			return
		}
	}
}

// replaceIncarnation starts a new incarnation. The old one still takes records of claims
// that name it, unless it failed, and is then closed.
func (b *idempotent) replaceIncarnation(s *slot, reason string) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	next, err := b.start(s)
	if err != nil {
		return err
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		next.close(b.running, 0)
		return nil
	}
	old := s.active.Swap(next)
	b.byID[next.id] = next
	b.drains.Go(func() { b.drain(old) })
	b.mu.Unlock()
	if next.failed.Load() {
		s.ask("it failed at its start")
	}
	b.metrics.incarnations.Inc()
	b.logger.Info("kafka producer replaced", "reason", reason, "producer", next.id, "replaced", old.id)
	return nil
}

func (b *idempotent) drain(old *incarnation) {
	select {
	case <-time.After(drainGrace):
	case <-old.over:
	case <-b.stop:
	}
	b.mu.Lock()
	delete(b.byID, old.id)
	b.mu.Unlock()
	old.close(b.running, b.cfg.DeliveryTimeout) // at once if it has failed
}

func (b *idempotent) close(limit time.Duration) {
	b.mu.Lock()
	b.closed = true
	close(b.stop)
	open := make([]*incarnation, 0, len(b.byID))
	for _, inc := range b.byID {
		open = append(open, inc)
	}
	b.mu.Unlock()
	timer := time.AfterFunc(limit, b.end)
	defer timer.Stop()
	var wg sync.WaitGroup
	for _, inc := range open {
		wg.Go(func() { inc.close(b.running, limit) })
	}
	wg.Wait()
	b.drains.Wait()
	b.end()
}

func (b *idempotent) queued() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	n := int64(0)
	for _, inc := range b.byID {
		n += inc.flying.Load()
	}
	return int(n)
}
