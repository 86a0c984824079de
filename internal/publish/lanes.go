package publish

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// laneCount is how many transactional producers there are: while one commits,
// the others append. More of them make more and smaller transactions.
const laneCount = 3

// lanes are the transactional producers. Each slot has one lane at a time; one
// that failed, or was fenced, gets a successor with a new id.
type lanes struct {
	p        *Producer
	registry *registry
	fences   fences
	slots    [laneCount]slot

	mu       sync.Mutex
	replaced map[string]*lane // that still take records of claims that name them
	ending   sync.WaitGroup   // lanes that run, or are being closed
}

type slot struct {
	current atomic.Pointer[lane] // nil until the first is initialised
	turn    chan struct{}        // holds one element while the lane is replaced
	renew   chan struct{}        // asks for a successor
}

func newLanes(p *Producer) *lanes {
	ls := &lanes{p: p, registry: newRegistry(p), fences: newFences(), replaced: map[string]*lane{}}
	for i := range ls.slots {
		ls.slots[i].turn, ls.slots[i].renew = make(chan struct{}, 1), make(chan struct{}, 1)
	}
	return ls
}

// pick returns the id of the lane for a partition. The same partition has the
// same lane as long as that is open: a transaction costs the brokers something
// for each partition in it.
func (ls *lanes) pick(topicName string, partition int32) (id string, ok bool) {
	var first uint32
	for i := range len(topicName) {
		first = first*31 + uint32(topicName[i])
	}
	first += uint32(partition) //nolint:gosec // not negative
	for i := range uint32(laneCount) {
		if l := ls.slots[(first+i)%laneCount].current.Load(); l != nil && l.open() {
			return l.inc.id, true
		}
	}
	return "", false
}

// lane finds the lane that a claim names, nil if it is gone.
func (ls *lanes) lane(id string) *lane {
	for i := range ls.slots {
		if l := ls.slots[i].current.Load(); l != nil && l.inc.id == id {
			return l
		}
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.replaced[id]
}

// ready reports whether any lane takes records.
func (ls *lanes) ready() bool {
	_, ok := ls.pick("", 0)
	return ok
}

// run keeps an open lane in every slot until ctx ends.
func (ls *lanes) run(ctx context.Context) {
	var wg sync.WaitGroup
	for i := range ls.slots {
		wg.Go(func() { ls.keep(ctx, &ls.slots[i]) })
	}
	wg.Wait()
}

func (ls *lanes) keep(ctx context.Context, s *slot) {
	failing := false
	for ctx.Err() == nil && ls.p.running.Err() == nil {
		old := s.current.Load()
		if old != nil {
			select {
			case <-old.over:
			case <-old.worn:
			case <-s.renew:
				if old.inc.batchBytes <= ls.p.batchLimit() {
					continue // it is the successor already
				}
			case <-ctx.Done():
				return
			}
		}
		err := ls.succeed(ctx, s, old)
		switch {
		case err == nil && failing:
			ls.p.logger.Info("transactional producers start again")
		case err != nil && !failing && ctx.Err() == nil && ls.p.running.Err() == nil:
			ls.p.logger.Error("starting a transactional producer failed: events are refused unless another one runs; it is tried again", "error", err)
		}
		if failing = err != nil; failing {
			ls.p.metrics.laneStarts.WithLabelValues("failed").Inc()
			waitUntil(ctx, time.Now().Add(urgentInterval))
		}
	}
}

// shrink asks for successors of lanes that make larger batches than topics take.
func (ls *lanes) shrink(batchBytes int) {
	for i := range ls.slots {
		if l := ls.slots[i].current.Load(); l != nil && l.inc.batchBytes > batchBytes {
			select {
			case ls.slots[i].renew <- struct{}{}:
			default:
			}
		}
	}
}

// succeed puts a new lane in the place of old, unless that has happened. Old
// still takes, for a while, records of claims that name it, unless it is over.
func (ls *lanes) succeed(ctx context.Context, s *slot, old *lane) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return fmt.Errorf("wait for the lane's replacement: %w", ctx.Err())
	}
	if s.current.Load() != old {
		return nil
	}
	next, err := ls.start(ctx)
	if err != nil {
		return err
	}
	ls.p.mu.Lock() // Close must see every lane
	closed := ls.p.closed
	if !closed {
		if old != nil {
			ls.mu.Lock()
			ls.replaced[old.inc.id] = old
			ls.mu.Unlock()
			ls.ending.Go(func() { ls.retire(old) })
		}
		s.current.Store(next)
		ls.ending.Go(next.run)
	}
	ls.p.mu.Unlock()
	if closed {
		next.inc.close(0)
		ls.strike(next.inc.id)
		return errClosed
	}
	ls.p.metrics.laneStarts.WithLabelValues("started").Inc()
	if old != nil {
		ls.p.metrics.incarnations.Inc()
		ls.p.logger.Info("transactional producer replaced", "transactional_id", next.inc.id, "replaced", old.inc.id)
	}
	return nil
}

// start makes a lane that is initialised and registered, so that whoever looks
// for producers to fence finds it before a claim can name it.
func (ls *lanes) start(ctx context.Context) (*lane, error) {
	p := ls.p
	if p.running.Err() != nil {
		return nil, errClosed
	}
	ctx, cancel := ls.until(ctx, p.cfg.DeliveryTimeout+p.cfg.TransactionTimeout)
	defer cancel()
	if err := ls.registry.prepare(ctx); err != nil {
		return nil, err
	}
	l := newLane(p.cfg.DeliveryTimeout, p.logger, p.metrics)
	l.acknowledged, l.failed = p.position, p.failed
	var err error
	id := p.cfg.TransactionalIDPrefix + "-" + uuid.NewString()
	if l.inc, err = newIncarnation(p.cfg, id, p.batchLimit(), p.logger, l.reported); err != nil {
		return nil, err
	}
	if err = l.inc.initialise(ctx); err == nil {
		// Only now: an id that is in the registry is initialised, so that a fence
		// of it is final, and the registration can go after the fence.
		err = ls.registry.enter(ctx, id)
	}
	if err != nil {
		l.inc.close(0)
		return nil, err
	}
	return l, nil
}

// until is ctx that also ends after limit and when the producer is closed.
func (ls *lanes) until(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	stop := context.AfterFunc(ls.p.running, cancel)
	return ctx, func() { stop(); cancel() }
}

// retire ends a lane that has a successor.
func (ls *lanes) retire(old *lane) {
	select {
	case <-old.over:
	case <-time.After(drainGrace):
	case <-ls.p.stop:
	}
	old.finish()
	ls.end(old)
	ls.mu.Lock()
	delete(ls.replaced, old.inc.id)
	ls.mu.Unlock()
}

// end waits for a lane that takes no more records, closes it, and takes its id
// out of the registry once nothing can be appended by it any more.
func (ls *lanes) end(l *lane) {
	<-l.ended
	l.inc.close(0)
	if l.isBroken() {
		// Its transaction may be open and would hide others' records from
		// consumers until Kafka times it out.
		for pause := urgentInterval; ls.p.running.Err() == nil && ls.fence(ls.p.running, l.inc.id) != nil; pause = min(2*pause, refreshInterval) {
			waitUntil(ls.p.running, time.Now().Add(pause))
		}
		return // a fence that succeeds strikes it off
	}
	ls.strike(l.inc.id)
}

// strike takes an id out of the registry. If that fails, it is fenced in vain
// some day.
func (ls *lanes) strike(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), registryTimeout)
	defer cancel()
	if err := ls.registry.strike(ctx, id); err != nil {
		ls.p.logger.Warn("a transactional id that is no longer used could not be taken out of its topic", "error", err, "transactional_id", id)
	}
}

// close commits what waits, for at most limit; what is left then is unknown.
func (ls *lanes) close(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var open []*lane
	ls.mu.Lock()
	for _, l := range ls.replaced {
		open = append(open, l)
	}
	ls.mu.Unlock()
	for i := range ls.slots {
		if l := ls.slots[i].current.Load(); l != nil {
			open = append(open, l)
			ls.ending.Go(func() { ls.end(l) })
		}
	}
	for _, l := range open {
		l.finish()
	}
	late := false
	for _, l := range open {
		if !late {
			select {
			case <-l.ended:
				continue
			case <-timer.C:
				late = true
			}
		}
		l.stop()
	}
	ls.fences.close()
	ls.ending.Wait()
}

// waiting is the number of records that wait for their commit.
func (ls *lanes) waiting() (n int) {
	for i := range ls.slots {
		if l := ls.slots[i].current.Load(); l != nil {
			n += l.waiting()
		}
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.replaced {
		n += l.waiting()
	}
	return n
}
