package idempotency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"eventgateway/internal/event"
)

// Tally is what a rebuild did, or has done so far.
type Tally struct {
	Buckets    int   // whose markers are set
	Read       int64 // deduplicated records of the log
	Written    int64 // back into Redis
	Kept       int64 // stood there, settled
	Aged       int64 // older than the idempotency window
	Overruled  int64 // of those written: over a claim for another payload
	Duplicates int64 // a second record of an event that stands settled
	Waited     time.Duration
	Took       time.Duration // the wait included
}

// rebuild learns from the log what was written in the buckets that are held
// (design section 7, rule 8): it waits until nothing more can be, reads the last
// window of the log, writes settled claims, and sets the markers of the buckets
// whose locks and Redis stayed the same. The others have to be begun anew.
func (h *hold) rebuild(ctx context.Context, log Log, window time.Duration, progress func(Tally)) (tally Tally, err error) {
	begun := time.Now()
	defer func() { tally.Took = time.Since(begun) }()
	if err := log.Quiesce(ctx, begun); err != nil {
		return tally, h.failed(ctx, "wait for records under way", err)
	}
	tally.Waited = time.Since(begun)
	progress(tally)
	restorer := newRestorer(h, &tally, progress)
	// From before the wait: the window may not shrink by it.
	err = log.Replay(ctx, begun.Add(-window), func(e event.LogEntry) error { return restorer.visit(ctx, e, begun) })
	if err != nil {
		return tally, h.failed(ctx, "read the log", err)
	}
	if err := restorer.flush(ctx); err != nil {
		return tally, h.failed(ctx, "write claims", err)
	}
	err = h.complete(ctx)
	tally.Buckets = len(h.ready)
	if err != nil {
		return tally, h.failed(ctx, "set markers", err)
	}
	return tally, nil
}

// failed says why a step failed: if all buckets were lost meanwhile, that is why.
func (h *hold) failed(ctx context.Context, step string, err error) error {
	if h.none() || errors.Is(context.Cause(ctx), errOvertaken) {
		return errOvertaken
	}
	return fmt.Errorf("%s: %w", step, err)
}

// Rebuild is a rebuild by hand: of all buckets, whatever their markers say, from
// the log's last window. Until it is done running gateways refuse keyed events.
// Run it where no Guard runs. progress, which may be nil, is told what was done
// so far. If it fails, running gateways do the rest.
func (s *Store) Rebuild(ctx context.Context, log Log, window time.Duration, progress func(Tally)) (Tally, error) {
	if progress == nil {
		progress = func(Tally) {}
	}
	todo, force := everyBucket(), true
	var sum Tally
	for {
		tally, left, err := s.rebuildOnce(ctx, log, todo, force, window, progress)
		sum.add(tally)
		if err != nil || len(left) == 0 {
			return sum, err
		}
		// Only what was lost on the way, unless somebody else has done it.
		todo, force = left, false
	}
}

// rebuildOnce rebuilds the buckets as soon as nobody else holds them, and returns
// those that were lost on the way.
func (s *Store) rebuildOnce(ctx context.Context, log Log, buckets []byte, force bool, window time.Duration, progress func(Tally)) (tally Tally, left []byte, err error) {
	h := s.newHold()
	kept, stop := h.keep(ctx)
	defer h.release(ctx)
	defer stop()
	wanted, err := h.takeAll(kept, buckets, force)
	if err != nil {
		return tally, nil, err
	}
	if len(wanted) == 0 {
		return tally, nil, nil
	}
	tally, err = s.rebuildHeld(kept, h, log, "by hand", window, progress)
	switch {
	case ctx.Err() != nil:
		return tally, nil, ctx.Err()
	case err != nil && !errors.Is(err, errOvertaken):
		return tally, nil, err
	}
	left = slices.DeleteFunc(wanted, func(b byte) bool { return slices.Contains(h.ready, b) })
	return tally, left, nil
}

// rebuildHeld is rebuild with its log lines and metrics. Part of the buckets may
// be lost without an error.
func (s *Store) rebuildHeld(ctx context.Context, h *hold, log Log, reason string, window time.Duration, progress func(Tally)) (Tally, error) {
	held := int(h.count.Load())
	level := slog.LevelWarn
	if reason == reasonEmpty {
		level = slog.LevelInfo // a first start is nobody's fault
	}
	s.logger.Log(ctx, level, "rebuilding the idempotency store from the log: keyed events of these buckets are refused until it is done",
		"reason", reason, "buckets", held, "window", window)
	tally, err := h.rebuild(ctx, log, window, progress)
	lost := held - tally.Buckets
	switch {
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), errOvertaken):
		// stopping: somebody else will do it
	case errors.Is(err, errOvertaken), err == nil && lost > 0:
		s.metrics.rebuilds.WithLabelValues("overtaken").Inc()
		s.logger.Warn("redis or its locks changed while the idempotency store was rebuilt: starting over with what is not ready",
			"buckets_ready", tally.Buckets, "buckets_lost", lost, "seconds", tally.Took.Seconds())
	case err != nil:
		s.metrics.rebuilds.WithLabelValues("failed").Inc()
		s.logger.Error("rebuilding the idempotency store failed and is tried again: keyed events are refused meanwhile; check that Kafka and Redis can be reached, and that this user may read the topics",
			"error", err, "records_read", tally.Read, "records_written", tally.Written)
	default:
		s.metrics.rebuilds.WithLabelValues("done").Inc()
		s.metrics.rebuildDuration.Observe(tally.Took.Seconds())
		s.logger.Info("idempotency store rebuilt", "buckets", tally.Buckets,
			"records_read", tally.Read, "records_written", tally.Written, "records_kept", tally.Kept,
			"claims_overruled", tally.Overruled, "duplicates", tally.Duplicates,
			"seconds_waited", tally.Waited.Seconds(), "seconds", tally.Took.Seconds())
	}
	return tally, err
}

func (t *Tally) add(more Tally) {
	t.Buckets += more.Buckets
	t.Read += more.Read
	t.Written += more.Written
	t.Kept += more.Kept
	t.Aged += more.Aged
	t.Overruled += more.Overruled
	t.Duplicates += more.Duplicates
	t.Waited += more.Waited
	t.Took += more.Took
}
