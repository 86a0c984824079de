package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"eventgateway/internal/failpoint"
)

const (
	// fencesAtOnce bounds the short-lived producers of one fenceAll.
	fencesAtOnce = 4
	// fencesRemembered bounds the memory of what is fenced. A forgotten id is
	// fenced again, which does no harm.
	fencesRemembered = 10_000
)

// fences knows which ids are fenced, and by whom others are just being fenced.
type fences struct {
	mu     sync.Mutex
	closed bool
	under  map[string]*fencing
	done   map[string]bool
	order  []string // of done, oldest first
	wg     sync.WaitGroup
}

type fencing struct {
	done chan struct{} // closed when err is set
	err  error
}

func newFences() fences { return fences{under: map[string]*fencing{}, done: map[string]bool{}} }

// fence makes sure that nothing can be appended or committed with id any more,
// and that what was committed with it is visible. If it fails, nothing is sure.
func (p *Producer) fence(ctx context.Context, id string) error {
	if p.lanes == nil || !fenceable(id) {
		return errNotTransactional
	}
	return p.lanes.fence(ctx, id)
}

// fenceable reports whether id is that of a transactional producer. Others
// end with their lease.
func fenceable(id string) bool { return !strings.HasPrefix(id, idempotentPrefix) }

// fenceAll fences every transactional id that there was when it was called,
// this process' own ones included: they have successors first.
func (p *Producer) fenceAll(ctx context.Context) error {
	if p.lanes == nil {
		return errNotTransactional
	}
	return p.lanes.fenceAll(ctx)
}

var errNotTransactional = errors.New("the producer is not transactional")

func (ls *lanes) fenceAll(ctx context.Context) error {
	if err := ls.registry.prepare(ctx); err != nil {
		return err
	}
	ids, err := ls.registry.list(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fencesAtOnce)
	for _, id := range ids {
		group.Go(func() error { return ls.fence(ctx, id) })
	}
	return group.Wait()
}

func (ls *lanes) fence(ctx context.Context, id string) error {
	f := ls.fences.join(id, func() error { return ls.fenceNow(id) }, func() { ls.strike(id) })
	if f == nil {
		return nil
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return fmt.Errorf("fence %s: %w", id, ctx.Err())
	}
}

// join returns the fence of id that is under way, or begins one: work, and
// after it cleanUp, which nobody waits for. It returns nil if id is fenced.
func (f *fences) join(id string, work func() error, cleanUp func()) *fencing {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done[id] {
		return nil
	}
	if one, ok := f.under[id]; ok {
		return one
	}
	one := &fencing{done: make(chan struct{})}
	if f.closed {
		one.err = errClosed
		close(one.done)
		return one
	}
	f.under[id] = one
	f.wg.Go(func() {
		one.err = work()
		f.mu.Lock()
		delete(f.under, id)
		if one.err == nil {
			f.remember(id)
		}
		f.mu.Unlock()
		close(one.done)
		if one.err == nil {
			cleanUp()
		}
	})
	return one
}

// close waits for fences under way; there will be no more.
func (f *fences) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.wg.Wait()
}

func (f *fences) remember(id string) {
	f.done[id] = true
	f.order = append(f.order, id)
	if len(f.order) > fencesRemembered {
		delete(f.done, f.order[0])
		f.order = f.order[1:]
	}
}

// fenceNow takes the id over with a producer that does nothing else.
func (ls *lanes) fenceNow(id string) error {
	p := ls.p
	// Kafka lets the old owner's transaction end first: an open one is aborted
	// at once, one that is being committed takes what it takes.
	ctx, cancel := ls.until(context.Background(), p.cfg.DeliveryTimeout+p.cfg.TransactionTimeout)
	defer cancel()
	began := time.Now()
	err := ls.release(ctx, id)
	if err == nil {
		err = takeOver(ctx, p, id)
	}
	result := "fenced"
	if err != nil {
		result = "failed"
		p.logger.Warn("fencing a transactional producer failed", "transactional_id", id, "error", err)
	} else {
		failpoint.At(failpoint.Fenced)
		p.logger.Info("transactional producer fenced", "transactional_id", id, "took", time.Since(began).Round(time.Millisecond))
	}
	p.metrics.fences.WithLabelValues(result).Inc()
	return err
}

// release gives up a lane of our own, after it got a successor.
func (ls *lanes) release(ctx context.Context, id string) error {
	for i := range ls.slots {
		s := &ls.slots[i]
		if l := s.current.Load(); l != nil && l.inc.id == id {
			if err := ls.succeed(ctx, s, l); err != nil {
				return err
			}
		}
	}
	if l := ls.lane(id); l != nil {
		l.abandon()
	}
	return nil
}

func takeOver(ctx context.Context, p *Producer, id string) error {
	l := newLane(p.cfg.DeliveryTimeout, p.logger, p.metrics) // for its ear only
	inc, err := newIncarnation(p.cfg, id, defaultBatchBytes, p.logger, l.reported)
	if err != nil {
		return err
	}
	defer inc.close(0)
	return inc.initialise(ctx)
}
