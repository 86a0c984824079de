package idempotency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
)

// Log is Kafka's log, which holds what was written, whatever Redis remembers.
type Log interface {
	// Quiesce waits until nothing that was claimed before since can still be appended by
	// the silent processes, or, if silent is nil, by any: a whole lease, or, transactional,
	// until their producers were fenced.
	Quiesce(ctx context.Context, since time.Time, silent []string) error
	// Replay visits every deduplicated record with a timestamp of from or later, up to an
	// end beyond everything that was appended before the call: from several goroutines, in
	// order within a partition. If toWatermark, nothing can appear behind the high watermark
	// any more, which is the end then. It returns visit's error. From one goroutine it tells watch
	// how far each topic is, whenever that changes and about every second; it may wait for
	// one topic without end while it reads the others.
	Replay(ctx context.Context, from time.Time, toWatermark bool, visit func(event.LogEntry) error, watch func([]event.TopicReplay)) error
}

// Rebuilder restores claims that Redis lost, from the log.
type Rebuilder struct {
	cfg       Config
	scripts   *scriptRunner
	log       Log
	unready   *unreadyBuckets
	old       *oldGateways
	member    *membership
	unsettled *unsettledClaims
	beats     *beats
	available *availability
	wake      <-chan struct{} // receives when a claim found a wrong marker
	checkSoon func()          // makes wake receive
	logger    *slog.Logger
	metrics   *Metrics
	intervals intervals
}

// intervals are the times of a rebuild.
type intervals struct {
	lockTTL time.Duration // after which a lock that is not renewed expires
	check   time.Duration // between two checks of markers that were right
	// contended is between two checks while another gateway rebuilds, failed after a
	// rebuild that failed, and least after any check, however many claims are refused
	// meanwhile.
	contended, failed, least time.Duration
	retry                    time.Duration // between two tries of one script
	exclude                  time.Duration // between two renewals of what keeps old gateways out
	beat                     time.Duration // between two beats
	// joinFor is how long gateways are given to join a generation before they count as silent;
	// joins between two looks who has.
	joinFor, joins time.Duration
}

var defaultIntervals = intervals{
	lockTTL: 10 * time.Second, check: 3 * time.Second,
	contended: time.Second, failed: 5 * time.Second, least: 200 * time.Millisecond,
	retry: time.Second, exclude: excludedFor / 6,
	beat: time.Second, joinFor: 2 * time.Second, joins: 20 * time.Millisecond,
}

// NewRebuilder returns a Rebuilder of the store's claims.
func NewRebuilder(s *Store, log Log) *Rebuilder {
	return &Rebuilder{
		cfg: s.cfg, scripts: s.scripts, log: log, unready: s.unready, old: s.old, wake: s.wake, checkSoon: s.wakeGuard,
		member: s.member, unsettled: s.unsettled, beats: newBeats(), available: s.available,
		logger: s.logger, metrics: s.metrics, intervals: defaultIntervals,
	}
}

// maxTries bounds how often one script is tried. It is more than once, because to start
// over costs a whole read of the log, and the locks outlive a short absence of Redis.
const maxTries = 8

// retry runs do until it succeeds, at most maxTries times.
func (r *Rebuilder) retry(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil {
			return nil
		}
		r.metrics.failed("rebuild")
		if try == maxTries || ctx.Err() != nil {
			return err
		}
		backoff.Sleep(ctx, r.intervals.retry)
	}
}

// Tally is what a rebuild did, or has done so far.
type Tally struct {
	Buckets    int   // whose markers are set
	Read       int64 // deduplicated records of the log
	Written    int64 // restored to Redis
	Kept       int64 // were in Redis already, settled
	Aged       int64 // older than the idempotency window
	Overruled  int64 // of those written: over a claim for another payload
	Duplicates int64 // a second record of an event that is settled already
	Waited     time.Duration
	Took       time.Duration // the wait included
	// Topics says how far the reading of each topic is, and what it waits for.
	Topics []event.TopicReplay
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
	t.Topics = more.Topics
}

// rebuild is readLog with log lines and metrics. Some of the buckets may be lost without
// an error.
func (r *Rebuilder) rebuild(ctx context.Context, locks *bucketLocks, what task, progress func(Tally)) (Tally, error) {
	held := int(locks.count.Load())
	level := slog.LevelWarn
	if what.reason == reasonEmpty {
		level = slog.LevelInfo // a first start is not a fault
	}
	r.logger.Log(ctx, level, "rebuilding the idempotency store from the log: keyed events of these buckets are refused until it is done",
		"reason", what.reason, "buckets", held, "window", what.window)
	tally, err := r.readLog(ctx, locks, what, withLines(ctx, r.logger, progress))
	lost := held - tally.Buckets
	switch {
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), errOvertaken):
		// This gateway stops, and another one will rebuild.
	case errors.Is(err, errOvertaken), err == nil && lost > 0:
		r.metrics.rebuilds.WithLabelValues("overtaken").Inc()
		r.logger.Warn("redis or its locks changed while the idempotency store was rebuilt: starting over with what is not ready",
			"buckets_ready", tally.Buckets, "buckets_lost", lost, "seconds", tally.Took.Seconds())
	case err != nil:
		r.metrics.rebuilds.WithLabelValues("failed").Inc()
		r.logger.Error("rebuilding the idempotency store failed and will be tried again: keyed events are refused meanwhile; check that Kafka and Redis can be reached, and that this user may read the topics",
			"error", err, "records_read", tally.Read, "records_written", tally.Written)
	default:
		r.metrics.rebuilds.WithLabelValues("done").Inc()
		r.metrics.rebuildDuration.Observe(tally.Took.Seconds())
		r.logger.Info("idempotency store rebuilt", "buckets", tally.Buckets,
			"records_read", tally.Read, "records_written", tally.Written, "records_kept", tally.Kept,
			"claims_overruled", tally.Overruled, "duplicates", tally.Duplicates,
			"seconds_waited", tally.Waited.Seconds(), "seconds", tally.Took.Seconds())
	}
	return tally, err
}

// task is what a rebuild is for.
type task struct {
	reason string
	window time.Duration // of the log: nothing older counts
	// seen is what Redis had before the buckets were locked, by which the loss is measured;
	// nil: anything may be missing.
	seen snapshot
	// wasReady says that this process saw claims complete before: no gateway of a former
	// version has worked since.
	wasReady bool
}

// readLog learns from the log what was written in the locked buckets (design section 7,
// rule 8): it waits until nothing more can be, reads of the log what may be missing, writes
// settled claims, and sets the markers of the buckets whose locks and Redis stayed the
// same. The others have to be started over.
func (r *Rebuilder) readLog(ctx context.Context, locks *bucketLocks, what task, progress func(Tally)) (tally Tally, err error) {
	begun := time.Now()
	defer func() { tally.Took = time.Since(begun) }()
	if err := r.retry(ctx, func() error { return r.old.exclude(ctx, locks.buckets(), locks.token) }); err != nil {
		return tally, locks.stepError(ctx, "lock buckets", err)
	}
	// From now on, and not from begun, no old gateway makes a claim.
	all := locks.buckets()
	g := gathering{Rebuilder: r, locks: locks}
	if err := g.gather(ctx, what); err != nil {
		return tally, locks.stepError(ctx, "wait for records under way", err)
	}
	tally.Waited = time.Since(begun)
	progress(tally)
	for _, part := range g.parts(what, begun, all) {
		if err := r.readPart(ctx, locks, &g, part, begun, &tally, progress); err != nil {
			return tally, err
		}
	}
	g.forget(ctx)
	return tally, nil
}

// readPart reads the log for some of the buckets, and sets their markers.
func (r *Rebuilder) readPart(ctx context.Context, locks *bucketLocks, g *gathering, p part, begun time.Time, tally *Tally, progress func(Tally)) error {
	err := r.readSince(ctx, locks, p.from, g.toWatermark(), begun, tally, progress)
	if err == nil && g.unregistered && tally.Read > 0 {
		// Somebody has written events who is not registered: a gateway of a former version.
		waits := time.Now()
		if err = g.waitForAll(ctx); err != nil {
			return locks.stepError(ctx, "wait for records under way", err)
		}
		tally.Waited += time.Since(waits)
		err = r.readSince(ctx, locks, p.from, false, begun, tally, progress)
	}
	if err != nil {
		return err
	}
	// Again, because reading took time: a bucket that an old gateway got meanwhile is lost.
	if err := r.retry(ctx, func() error { return r.old.exclude(ctx, locks.buckets(), "") }); err != nil {
		return locks.stepError(ctx, "set markers", err)
	}
	err = locks.complete(ctx, p.buckets, g.generation)
	tally.Buckets = len(locks.ready)
	if err != nil {
		return locks.stepError(ctx, "set markers", err)
	}
	return nil
}

// readSince restores what the log has since from.
func (r *Rebuilder) readSince(ctx context.Context, locks *bucketLocks, from time.Time, toWatermark bool, begun time.Time, tally *Tally, progress func(Tally)) error {
	before, pass := *tally, Tally{}
	restorer := newRestorer(ctx, r, locks, begun, &pass, func(t Tally) {
		sum := before
		sum.add(t)
		progress(sum)
	})
	err := r.log.Replay(ctx, from, toWatermark, restorer.visit, restorer.watch)
	written := restorer.close()
	tally.add(pass)
	if written != nil {
		return locks.stepError(ctx, "write claims", written)
	}
	if err != nil {
		return locks.stepError(ctx, "read the log", err)
	}
	return nil
}

// stepError is the error of a step that failed: errOvertaken if all buckets were lost
// meanwhile, because that is why.
func (l *bucketLocks) stepError(ctx context.Context, step string, err error) error {
	if l.none() || errors.Is(context.Cause(ctx), errOvertaken) {
		return errOvertaken
	}
	return fmt.Errorf("%s: %w", step, err)
}
