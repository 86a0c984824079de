package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
)

// poolSize is how many transactional producers there are: while one commits,
// the others append. More of them make more and smaller transactions.
const poolSize = 3

// txPool is the backend of transactional mode. Each slot has one producer at a time;
// one that failed, or was fenced, gets a successor with a new id (docs/adr/0010).
type txPool struct {
	cfg       Config
	plain     *idempotent // writes the registry; closed with the pool
	monitor   *monitor
	registry  *registry
	members   *Membership // nil: this process is not registered
	fencer    *fencer
	logger    *slog.Logger
	metrics   *Metrics
	batch     atomic.Int64 // bytes of a batch that every topic takes; of librdkafka
	shrinks   atomic.Int64 // how often topics have taken smaller batches than before
	slots     [poolSize]txSlot
	lastBegun atomic.Int64    // when a transaction last began, Unix nanoseconds
	running   context.Context // ended by close
	end       context.CancelFunc

	mu       sync.Mutex
	replaced map[string]*txProducer // that still take records of claims that name them
	closed   bool
	active   sync.WaitGroup // producers that run, or are being closed
}

type txSlot struct {
	current atomic.Pointer[txProducer] // nil until the first is initialised
	turn    chan struct{}              // holds one element while the producer is replaced
	renew   chan struct{}              // asks for a successor
}

func newTxPool(cfg Config, plain *idempotent, scan scanner, members *Membership, m *monitor, logger *slog.Logger, metrics *Metrics) *txPool {
	pool := &txPool{
		cfg: cfg, plain: plain, monitor: m, members: members, registry: newRegistry(cfg, plain, scan, logger),
		logger: logger, metrics: metrics, replaced: map[string]*txProducer{},
	}
	if members != nil {
		pool.registry.process = members.id
	}
	pool.batch.Store(defaultBatchBytes)
	pool.running, pool.end = context.WithCancel(context.Background())
	pool.fencer = &fencer{
		cfg: cfg, initialise: initialiseWithLibrdkafka(cfg, logger, metrics), registry: pool.registry, members: members, abandonOwn: pool.abandonOwn, running: pool.running,
		logger: logger, metrics: metrics, fences: newFences(),
	}
	if plain.franz {
		pool.fencer.initialise = initialiseWithFranz(plain.connection, cfg.TransactionTimeout, plain.franzLog)
	}
	for i := range pool.slots {
		pool.slots[i].turn, pool.slots[i].renew = make(chan struct{}, 1), make(chan struct{}, 1)
	}
	return pool
}

func (pool *txPool) owner(topic string, partition int32, _ writer) (string, *event.Error) {
	if id, ok := pool.pick(topic, partition); ok {
		return id, nil
	}
	return "", event.Refuse(event.LogUnavailable,
		"No transactional Kafka producer is ready at present. Nothing was written; send it again.")
}

// pick returns the id of the producer for a partition. A partition has a first choice
// and a second, which is taken if its next transaction begins sooner. There are no more
// choices, so that a partition that is not acknowledged cannot hold up all producers.
func (pool *txPool) pick(topicName string, partition int32) (id string, ok bool) {
	var first uint32
	for i := range len(topicName) {
		first = first*31 + uint32(topicName[i])
	}
	first += uint32(partition) //nolint:gosec // not negative
	var chosen *txProducer
	for i := range uint32(poolSize) {
		t := pool.slots[(first+i)%poolSize].current.Load()
		switch {
		case t == nil || !t.open():
		case chosen == nil:
			chosen = t
		default:
			now := time.Now()
			if t.turns.wait(now)+strayFor < chosen.turns.wait(now) {
				chosen = t
			}
			return chosen.id, true
		}
	}
	if chosen == nil {
		return "", false
	}
	return chosen.id, true
}

// byID finds the producer that a claim names, nil if it is gone.
func (pool *txPool) byID(id string) *txProducer {
	for i := range pool.slots {
		if t := pool.slots[i].current.Load(); t != nil && t.id == id {
			return t
		}
	}
	pool.mu.Lock()
	defer pool.mu.Unlock()
	return pool.replaced[id]
}

func (pool *txPool) ready() error {
	if _, ok := pool.pick("", 0); !ok {
		return errors.New("no transactional producer is ready")
	}
	return nil
}

func (pool *txPool) send(r event.Record) (chan ack, *event.Error) {
	t := pool.byID(r.Owner)
	if t == nil {
		return nil, pool.monitor.failed(ownerGone())
	}
	return t.enqueue(r)
}

// run keeps an open producer in every slot until ctx ends.
func (pool *txPool) run(ctx context.Context) {
	var wg sync.WaitGroup
	for i := range pool.slots {
		wg.Go(func() { pool.keep(ctx, &pool.slots[i]) })
	}
	pool.plain.run(ctx)
	wg.Wait()
}

func (pool *txPool) keep(ctx context.Context, s *txSlot) {
	failing := false
	for ctx.Err() == nil && pool.running.Err() == nil {
		old := s.current.Load()
		if old != nil {
			select {
			case <-old.closed:
			case <-old.retiring:
			case <-s.renew:
				if old.shrinks == pool.shrinks.Load() {
					continue // it is the successor already
				}
			case <-ctx.Done():
				return
			}
		}
		err := pool.replaceWith(ctx, s, old)
		switch {
		case err == nil && failing:
			pool.logger.Info("transactional producers start again")
		case err != nil && !failing && ctx.Err() == nil && pool.running.Err() == nil:
			pool.logger.Error("starting a transactional producer failed: events are refused unless another one runs; it is tried again", "error", err)
		}
		if failing = err != nil; failing {
			pool.metrics.txStarts.WithLabelValues("failed").Inc()
			backoff.Sleep(ctx, urgentInterval)
		}
	}
}

// learn asks for successors of producers that make batches which are too large for a
// topic.
func (pool *txPool) learn(known map[string]topic) {
	before := pool.plain.routes.Load()
	pool.plain.learn(known)
	now := pool.plain.routes.Load()
	batchBytes := int64(batchLimitOf(now.smallest))
	smaller := pool.batch.Swap(batchBytes) > batchBytes
	if pool.plain.franz {
		smaller = shrunk(before.limits, now.limits)
	}
	if !smaller {
		return
	}
	pool.shrinks.Add(1)
	for i := range pool.slots {
		select {
		case pool.slots[i].renew <- struct{}{}:
		default:
		}
	}
}

// replaceWith puts a new producer in the place of old, unless that has happened. Old
// still takes, for a while, records of claims that name it, unless it is closed.
func (pool *txPool) replaceWith(ctx context.Context, s *txSlot, old *txProducer) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return fmt.Errorf("wait for the producer's replacement: %w", ctx.Err())
	}
	if s.current.Load() != old {
		return nil
	}
	next, err := pool.start(ctx)
	if err != nil {
		return err
	}
	pool.mu.Lock() // close must see every producer
	closed := pool.closed
	if !closed {
		if old != nil {
			pool.replaced[old.id] = old
			pool.active.Go(func() { pool.retire(old) })
		}
		s.current.Store(next)
		pool.active.Go(next.run)
	}
	pool.mu.Unlock()
	if closed {
		next.client.close()
		pool.registry.forget(next.id)
		return errClosed
	}
	pool.metrics.txStarts.WithLabelValues("started").Inc()
	if old != nil {
		pool.metrics.incarnations.Inc()
		pool.logger.Info("transactional producer replaced", "transactional_id", next.id, "replaced", old.id)
	}
	return nil
}

// start initialises and then registers a producer. A rebuild that reads the registry
// therefore finds every producer that a claim can name.
func (pool *txPool) start(ctx context.Context) (*txProducer, error) {
	if pool.running.Err() != nil {
		return nil, errClosed
	}
	ctx, cancel := withLimit(ctx, pool.running, pool.cfg)
	defer cancel()
	if err := pool.registry.ensureTopic(ctx); err != nil {
		return nil, err
	}
	id := pool.cfg.TransactionalIDPrefix + "-" + uuid.NewString()
	t := newTxProducer(id, pool.cfg.DeliveryTimeout, &pool.lastBegun, pool.monitor, pool.plain.memory, pool.logger, pool.metrics)
	t.shrinks = pool.shrinks.Load()
	var err error
	if t.client, err = pool.newClient(t); err != nil {
		return nil, err
	}
	if err = t.client.initialise(ctx); err == nil {
		// Only now: an id that is in the registry is initialised, so that a fence
		// of it is final, and the registration can go after the fence.
		err = pool.registry.add(ctx, id)
	}
	if err == nil && pool.members != nil {
		// A rebuild that has listed the ids before this one was there has raised a generation
		// before that: this process knows it before the producer is used.
		err = pool.members.sync(ctx)
	}
	if err != nil {
		t.client.close()
		return nil, err
	}
	return t, nil
}

func (pool *txPool) newClient(t *txProducer) (txClient, error) {
	if pool.plain.franz {
		return newFranzTx(pool.plain.connection, pool.cfg, t.id, pool.plain.topics, pool.plain.largestBatch, pool.plain.onConnectionError, pool.plain.franzLog)
	}
	return newLibrdkafkaTx(pool.cfg, t.id, int(pool.batch.Load()), pool.logger, t.onError)
}

// withLimit derives a context that also ends with running, and after the longest time
// that initialising a transactional producer may take: Kafka first ends the previous
// producer's transaction.
func withLimit(ctx, running context.Context, cfg Config) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, cfg.DeliveryTimeout+cfg.TransactionTimeout)
	stop := context.AfterFunc(running, cancel)
	return ctx, func() { stop(); cancel() }
}

// abandonOwn abandons the producer with this id, if it is one of the pool's, after it
// got a successor.
func (pool *txPool) abandonOwn(ctx context.Context, id string) error {
	for i := range pool.slots {
		s := &pool.slots[i]
		if t := s.current.Load(); t != nil && t.id == id {
			if err := pool.replaceWith(ctx, s, t); err != nil {
				return err
			}
		}
	}
	if t := pool.byID(id); t != nil {
		t.abandon()
	}
	return nil
}

// retire ends a producer that has a successor.
func (pool *txPool) retire(old *txProducer) {
	select {
	case <-old.closed:
	case <-time.After(drainGrace):
	case <-pool.running.Done():
	}
	old.finish()
	pool.endProducer(old)
	pool.mu.Lock()
	delete(pool.replaced, old.id)
	pool.mu.Unlock()
}

// endProducer waits for a producer that takes no more records, closes it, and
// takes its id out of the registry once nothing can be appended by it any more.
func (pool *txPool) endProducer(t *txProducer) {
	<-t.ended
	t.client.close()
	if !t.isBroken() {
		pool.registry.forget(t.id)
		return
	}
	// Its transaction may be open and would hide others' records from consumers
	// until Kafka times it out. A fence that succeeds removes the id.
	pauses := backoff.NewExponential(urgentInterval, refreshInterval)
	for pool.running.Err() == nil && pool.fencer.fence(pool.running, t.id) != nil {
		backoff.Sleep(pool.running, pauses.Next())
	}
}

// close commits what waits, for at most limit; what is left then is unknown.
func (pool *txPool) close(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var open []*txProducer
	pool.mu.Lock()
	pool.closed = true
	pool.end()
	for _, t := range pool.replaced {
		open = append(open, t)
	}
	pool.mu.Unlock()
	for i := range pool.slots {
		if t := pool.slots[i].current.Load(); t != nil {
			open = append(open, t)
			pool.active.Go(func() { pool.endProducer(t) })
		}
	}
	for _, t := range open {
		t.finish()
	}
	late := false
	for _, t := range open {
		if !late {
			select {
			case <-t.ended:
				continue
			case <-timer.C:
				late = true
			}
		}
		t.abort()
	}
	pool.fencer.fences.close()
	pool.active.Wait()
	pool.plain.close(limit) // last: until here, ids are taken out of the registry
}

// renew does nothing more than to renew the producer of the registry: a transactional one
// is given up when its transaction is not committed in time.
func (pool *txPool) renew(reason string) { pool.plain.renew(reason) }

// queued counts records that wait for their commit.
func (pool *txPool) queued() int {
	n := pool.plain.queued()
	for i := range pool.slots {
		if t := pool.slots[i].current.Load(); t != nil {
			n += t.queued()
		}
	}
	pool.mu.Lock()
	defer pool.mu.Unlock()
	for _, t := range pool.replaced {
		n += t.queued()
	}
	return n
}
