package idempotency

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// mostUnanswered is how often in a row a node of a Cluster may leave open whether there is an
// interrupted rebuild, until others' buckets are begun anew.
const mostUnanswered = 10

// resume takes the locks of an interrupted rebuild that nobody goes on with, to go on where
// it was, or to begin anew if its state is gone. It may get none.
func (g *guard) resume(ctx context.Context, buckets []byte, seen snapshot) *bucketLocks {
	locks := newBucketLocks(g.Rebuilder)
	shared, err := g.findShared(ctx, true)
	gone := errors.Is(err, errStateGone) || errors.Is(err, errBadState)
	switch {
	case err != nil && !gone:
		g.metrics.failed("rebuild")
		g.logger.Debug("looking for an interrupted rebuild failed", "error", err)
		if g.unanswered++; g.unanswered <= mostUnanswered {
			return locks
		}
		locks.anew = true
	case shared == nil, shared.generation > g.member.number() && !g.ahead.exceeds(interrupted, shared.generation, g.member):
		return locks // somebody was faster, or this gateway has to catch up
	default:
		buckets = slices.DeleteFunc(buckets, func(b byte) bool { return !shared.covered.has(b) })
		// Markers of another generation would be wrong at once.
		locks.anew = gone || shared.generation != g.member.number()
	}
	g.unanswered = 0
	if locks.anew {
		g.ahead.tell(g.logger)
		locks.unknown = g.ahead.unknown
		_, err = g.lock(ctx, locks, buckets, seen)
	} else {
		locks.token, locks.shared = shared.covered.token, shared
		_, err = locks.acquire(ctx, buckets, lockResume)
	}
	if err != nil {
		g.metrics.failed("rebuild")
	}
	if !locks.none() && !locks.anew {
		g.logger.Info("going on with an interrupted rebuild of the idempotency store", "buckets", locks.count.Load())
	}
	return locks
}

// helper is a gateway's part in the rebuild of another.
type helper struct {
	running atomic.Bool
	done    sync.WaitGroup
}

func (h *helper) wait() { h.done.Wait() }

// help takes part in another gateway's reading of the log, in the background, if there is
// one and this gateway is not at it already.
func (g *guard) help(ctx context.Context) {
	if g.helper.running.Swap(true) {
		return
	}
	g.helper.done.Go(func() {
		defer g.helper.running.Store(false)
		err := g.helpOnce(ctx)
		if errors.Is(err, errStateGone) && !g.leads.Load() {
			g.state.end() // that rebuild is over or lost, and what it had given back with it
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, errStateGone) && !errors.Is(err, errOvertaken) {
			g.metrics.failed("rebuild")
			g.logger.Warn("taking part in another gateway's rebuild failed and will be tried again", "error", err)
		}
	})
}

// helpOnce reads what another gateway has found out is to be read, until all of that is
// read by somebody.
func (r *Rebuilder) helpOnce(ctx context.Context) error {
	shared, err := r.findShared(ctx, false)
	if err == nil && shared == nil {
		return errStateGone
	}
	if err != nil {
		return err
	}
	if !r.leads.Load() {
		r.state.see(Tally{Topics: shared.now()}, time.Now())
	}
	topics := shared.rest()
	if len(topics) == 0 {
		return nil
	}
	var tally Tally
	restorer := newRestorer(ctx, r, shared, time.Now(), &tally, func(Tally) {})
	restorer.helps = true
	err = r.log.HelpReplay(restorer.failed, shared.from, topics, restorer.visit, restorer.watch, shared)
	if written := restorer.close(); written != nil {
		return written
	}
	return err
}
