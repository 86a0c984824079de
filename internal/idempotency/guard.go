package idempotency

import (
	"context"
	"time"
)

// guard looks at the markers and rebuilds buckets whose claims may be lost.
type guard struct {
	store   *Store
	log     Log
	seen    [bucketCount]bool // ready, at some look of this process
	away    bool              // Redis did not answer the last look
	waiting bool              // for another gateway's rebuild
}

// Guard looks at the markers of all buckets at once, then every few seconds, and
// when a claim meets a wrong one, until ctx ends. It rebuilds from log what may
// be lost, unless another gateway does.
func (s *Store) Guard(ctx context.Context, log Log) {
	g := &guard{store: s, log: log}
	for ctx.Err() == nil {
		s.awaitKick(ctx, g.round(ctx))
	}
}

// kick asks Guard to look now.
func (s *Store) kick() {
	select {
	case s.kicks <- struct{}{}:
	default: // it is asked already
	}
}

func (s *Store) awaitKick(ctx context.Context, limit time.Duration) {
	pause(ctx, min(s.pace.kick, limit))
	t := time.NewTimer(max(limit-s.pace.kick, 0))
	defer t.Stop()
	select {
	case <-s.kicks:
	case <-t.C:
	case <-ctx.Done():
	}
}

// round looks once and does what is to be done. It returns how long all can
// then be left alone.
func (g *guard) round(ctx context.Context) time.Duration {
	s := g.store
	wrong, reason := g.look(ctx)
	if len(wrong) == 0 {
		g.waiting = false
		return s.pace.check
	}
	h := s.newHold()
	defer h.release(ctx)
	busy, err := h.take(ctx, wrong, false)
	if err != nil {
		s.metrics.failed("rebuild")
		s.logger.Warn("locking buckets for a rebuild failed", "error", err)
	}
	if h.none() {
		if len(busy) > 0 && !g.waiting {
			g.waiting = true
			s.logger.Info("another gateway rebuilds the idempotency store: keyed events of these buckets wait", "buckets", len(busy))
		}
		return s.pace.urgent
	}
	kept, stop := h.keep(ctx)
	defer stop()
	_, err = s.rebuildHeld(kept, h, g.log, reason, s.cfg.TTL, func(Tally) {})
	if err != nil && kept.Err() == nil {
		return s.pace.failure
	}
	return s.pace.kick // is all well now? Others may be lost meanwhile
}

// Why buckets are rebuilt, the worst last.
const (
	reasonEmpty   = "empty"   // a first start, or Redis lost everything before this process began
	reasonLost    = "lost"    // Redis was flushed
	reasonChanged = "changed" // another Redis, or a promoted one
)

// look returns the buckets whose marker is wrong and the worst reason for that.
func (g *guard) look(ctx context.Context) (wrong []byte, reason string) {
	s := g.store
	lost, foreign := false, false
	err := s.askBuckets(ctx, question{checkScript, markerOnly, nil}, everyBucket(), func(b byte, v verdict) {
		if v == bucketReady {
			g.seen[b] = true
			s.unready.end(b)
			return
		}
		foreign = foreign || v == bucketForeign
		lost = lost || v == bucketMissing && g.seen[b]
		s.unready.note(b, time.Now())
		wrong = append(wrong, b)
	})
	if err != nil && ctx.Err() == nil {
		s.metrics.failed("check")
		if !g.away {
			s.logger.Warn("looking at the markers in redis failed", "error", err)
		}
	}
	g.away = err != nil
	switch {
	case foreign:
		return wrong, reasonChanged
	case lost:
		return wrong, reasonLost
	default:
		return wrong, reasonEmpty
	}
}
