package idempotency

import (
	"context"
	"sync"
	"time"

	"eventgateway/internal/backoff"
)

// guard checks the markers and rebuilds buckets whose claims may be lost.
type guard struct {
	*Rebuilder
	wasReady  [bucketCount]bool // at some check of this process
	contended bool              // another gateway rebuilds, and the log says so
	helper    helper
	// unanswered counts failures in a row to find interrupted rebuilds.
	unanswered int
}

// Guard checks the markers of all buckets at once, then every few seconds and
// when a claim finds a wrong one, until ctx ends. It rebuilds from the log what may
// be lost, unless another gateway does.
func (r *Rebuilder) Guard(ctx context.Context) {
	g := &guard{Rebuilder: r}
	var keepingOut sync.WaitGroup
	defer keepingOut.Wait()
	defer g.helper.wait()
	if !backoff.Poll(ctx, r.intervals.least, r.scripts.keys.areKnown) {
		return // Kafka has not said which cluster it is
	}
	g.excluded(r.old.exclude(ctx, allBuckets(), "")) // first: what the markers say counts from then on
	keepingOut.Go(func() {
		for backoff.Sleep(ctx, r.intervals.exclude) {
			g.excluded(r.old.exclude(ctx, allBuckets(), ""))
		}
	})
	for ctx.Err() == nil {
		g.rest(ctx, g.round(ctx))
	}
}

// excluded counts a failure to keep old gateways out. Each claim asks for that again.
func (g *guard) excluded(err error) {
	if err != nil {
		g.metrics.failed("check")
	}
}

// rest waits for the interval, or, once the least one has passed, for a claim that found
// a wrong marker.
func (g *guard) rest(ctx context.Context, interval time.Duration) {
	backoff.Sleep(ctx, min(g.intervals.least, interval))
	t := time.NewTimer(max(interval-g.intervals.least, 0))
	defer t.Stop()
	select {
	case <-g.wake:
	case <-t.C:
	case <-ctx.Done():
	}
}

// round checks once and rebuilds what it can. It returns the interval to the next round.
func (g *guard) round(ctx context.Context) time.Duration {
	wrong, reason := g.check(ctx)
	if len(wrong) == 0 {
		g.contended = false
		g.state.end()
		return g.intervals.check
	}
	// First: it deletes the locks of buckets in which an old gateway may have worked.
	g.excluded(g.old.exclude(ctx, allBuckets(), ""))
	locks := newBucketLocks(g.Rebuilder)
	defer func() { locks.release(ctx) }()
	busy, err := locks.acquire(ctx, wrong, false)
	if err != nil {
		g.metrics.failed("rebuild")
		g.logger.Warn("locking buckets for a rebuild failed", "error", err)
	}
	if locks.none() && locks.abandoned {
		locks = g.resume(ctx, busy)
	}
	if locks.none() {
		if len(busy) > 0 && !g.contended {
			g.contended = true
			g.logger.Info("another gateway rebuilds the idempotency store: keyed events of these buckets wait", "buckets", len(busy))
		}
		if len(busy) > 0 {
			g.help(ctx)
		}
		return g.intervals.contended
	}
	kept, stop := locks.keep(ctx)
	defer stop()
	_, err = g.rebuild(kept, locks, reason, g.cfg.TTL, func(Tally) {})
	if err != nil && kept.Err() == nil {
		return g.intervals.failed
	}
	return g.intervals.least // check again soon: other buckets may have been lost meanwhile
}

// Why buckets are rebuilt, the worst last.
const (
	reasonEmpty   = "empty"   // a first start, or Redis lost everything before this process began
	reasonLost    = "lost"    // Redis was flushed
	reasonChanged = "changed" // another Redis, or a promoted one
)

// check returns the buckets whose marker is wrong and the worst reason for that.
func (g *guard) check(ctx context.Context) (wrong []byte, reason string) {
	lost, foreign := false, false
	err := g.scripts.runOnBuckets(ctx, bucketScript{checkScript, markerOnly, nil}, allBuckets(), func(b byte, state bucketState) {
		if state == bucketReady {
			g.wasReady[b] = true
			g.unready.remove(b)
			return
		}
		foreign = foreign || state == bucketForeign
		lost = lost || state == bucketMissing && g.wasReady[b]
		g.unready.add(b, time.Now())
		wrong = append(wrong, b)
	})
	if err != nil && ctx.Err() == nil {
		g.metrics.failed("check")
		g.logger.Debug("checking the markers in redis failed", "error", err) // an outage is named once, by availability
	}
	switch {
	case foreign:
		return wrong, reasonChanged
	case lost:
		return wrong, reasonLost
	default:
		return wrong, reasonEmpty
	}
}
