package idempotency

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Rebuild is a rebuild by hand: of all buckets, whatever their markers say, from
// the log's last window. Until it is done, running gateways refuse keyed events.
// Do not run it beside this Rebuilder's Guard. progress, which may be nil, is told what
// was done so far. If Rebuild fails, the guards of running gateways finish the work.
func (r *Rebuilder) Rebuild(ctx context.Context, window time.Duration, progress func(Tally)) (Tally, error) {
	if progress == nil {
		progress = func(Tally) {}
	}
	if err := r.member.await(ctx); err != nil {
		return Tally{}, err
	}
	todo, mode := allBuckets(), lockForce
	var sum Tally
	for {
		tally, left, err := r.rebuildOnce(ctx, todo, mode, window, progress)
		sum.add(tally)
		if err != nil || len(left) == 0 {
			return sum, err
		}
		// Only what was lost on the way, unless another gateway has rebuilt it.
		todo, mode = left, lockWrong
	}
}

// rebuildOnce rebuilds the buckets as soon as no other gateway holds them, and returns
// those that were lost on the way.
func (r *Rebuilder) rebuildOnce(ctx context.Context, buckets []byte, mode string, window time.Duration, progress func(Tally)) (tally Tally, left []byte, err error) {
	locks := newBucketLocks(r)
	locks.anew = true
	kept, stop := locks.keep(ctx)
	defer locks.release(ctx)
	defer stop()
	wanted, err := locks.acquireAll(kept, buckets, mode)
	if err != nil {
		return tally, nil, err
	}
	if len(wanted) == 0 {
		return tally, nil, nil
	}
	tally, err = r.rebuild(kept, locks, task{reason: "by hand", window: window}, progress)
	switch {
	case ctx.Err() != nil:
		return tally, nil, ctx.Err()
	case err != nil && !errors.Is(err, errOvertaken):
		return tally, nil, err
	}
	left = slices.DeleteFunc(wanted, func(b byte) bool { return slices.Contains(locks.ready, b) })
	return tally, left, nil
}

// ErrNotEmpty is returned by AssertEmpty where claims were kept before.
var ErrNotEmpty = errors.New("buckets carry the marker of another Redis: events were written with these claims; rebuild from the log instead")

// AssertEmpty sets the missing markers at once and returns how many. The caller
// asserts that no keyed event was written within the idempotency window: if one
// was, its retries are published again.
func (s *Store) AssertEmpty(ctx context.Context) (set int, err error) {
	if err := s.member.await(ctx); err != nil {
		return 0, err
	}
	if s.member.measured() && s.member.number() == 0 { // markers name a generation
		if _, _, err := s.cfg.Generations.Raise(ctx); err != nil {
			return 0, fmt.Errorf("raise the generation: %w", err)
		}
	}
	if err := s.old.exclude(ctx, allBuckets(), ""); err != nil {
		return 0, err
	}
	foreign := false
	err = s.scripts.runOnBuckets(ctx, bucketScript{assertEmptyScript, markerAndLock, []any{s.member.number()}}, allBuckets(), func(b byte, state bucketState) {
		switch state {
		case bucketHeld:
			set++
			s.unready.remove(b)
		case bucketReady:
			s.unready.remove(b)
		case bucketForeign:
			foreign = true
		}
	})
	if err == nil && foreign {
		err = ErrNotEmpty
	}
	return set, err
}
