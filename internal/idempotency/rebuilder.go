package idempotency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
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
	// one topic without end while it reads the others. Other processes may read some of it,
	// or have: see event.ReplayShare.
	Replay(ctx context.Context, from time.Time, toWatermark bool, visit func(event.LogEntry) error, watch func([]event.TopicReplay), share event.ReplayShare) error
	// HelpReplay reads what the share gives it of another process' Replay. It returns when all
	// spans of the topics are read.
	HelpReplay(ctx context.Context, from time.Time, topics []event.TopicReplay, visit func(event.LogEntry) error, watch func([]event.TopicReplay), share event.ReplayShare) error
}

// Rebuilder restores claims that Redis lost, from the log.
type Rebuilder struct {
	cfg       Config
	scripts   *scriptRunner
	log       Log
	unready   *unreadyBuckets
	state     *rebuildWatch
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
	leads     atomic.Bool // this gateway holds the locks of a rebuild
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
	// fix is how long a gateway may need to ask Kafka what there is to read, before it leaves
	// that to others. It is longer than replicas may lag.
	fix time.Duration
}

var defaultIntervals = intervals{
	lockTTL: 10 * time.Second, check: 3 * time.Second,
	contended: time.Second, failed: 5 * time.Second, least: 200 * time.Millisecond,
	retry: time.Second, exclude: excludedFor / 6,
	beat: time.Second, joinFor: 2 * time.Second, joins: 20 * time.Millisecond, fix: 5 * time.Minute,
}

// NewRebuilder returns a Rebuilder of the store's claims.
func NewRebuilder(s *Store, log Log) *Rebuilder {
	return &Rebuilder{
		cfg: s.cfg, scripts: s.scripts, log: log, unready: s.unready, state: s.rebuild, old: s.old, wake: s.wake, checkSoon: s.wakeGuard,
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
	r.leads.Store(true)
	defer r.leads.Store(false)
	r.state.see(Tally{}, time.Now())
	defer r.state.end()
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
// same. The others have to be started over. An interrupted reading goes on where it was.
func (r *Rebuilder) readLog(ctx context.Context, locks *bucketLocks, what task, progress func(Tally)) (tally Tally, err error) {
	begun := time.Now()
	defer func() { tally.Took = time.Since(begun) }()
	if shared := locks.shared; shared != nil {
		shared.toWatermark = false // of topics that were not asked about: replicas may have been missing meanwhile
		err := r.readShared(ctx, locks, begun, &tally, progress)
		if err != nil && ctx.Err() == nil && !errors.Is(err, errOvertaken) && !errors.Is(err, errNotFixed) {
			shared.forget(ctx) // what was fixed may be what fails, such as an end that the log lost: begin anew
		}
		return tally, err
	}
	g := &gathering{Rebuilder: r, locks: locks}
	parts, err := r.prepare(ctx, g, what, begun)
	tally.Waited = time.Since(begun)
	if err != nil {
		return tally, err
	}
	progress(tally)
	if g.empty {
		return tally, r.setMarkers(ctx, locks, locks, g.generation, &tally)
	}
	for i, p := range parts {
		if i > 0 { // what the first part's readers know is of no use for the others
			if err := locks.rename(ctx); err != nil {
				return tally, locks.stepError(ctx, "lock buckets", err)
			}
			r.state.end()
			r.state.see(Tally{}, time.Now())
		}
		if locks.shared, err = r.beginShared(ctx, locks, p, g); err != nil {
			return tally, locks.stepError(ctx, "lock buckets", err)
		}
		if err := r.readShared(ctx, locks, begun, &tally, progress); err != nil {
			return tally, err
		}
	}
	g.forget(ctx)
	return tally, nil
}

// prepare waits until nothing more can be written under claims of the locked buckets, and
// measures what may be missing.
func (r *Rebuilder) prepare(ctx context.Context, g *gathering, what task, begun time.Time) ([]part, error) {
	locks := g.locks
	if err := r.retry(ctx, func() error { return r.old.exclude(ctx, locks.buckets(), locks.token) }); err != nil {
		return nil, locks.stepError(ctx, "lock buckets", err)
	}
	// From now on, and not from begun, no old gateway makes a claim.
	all := locks.buckets()
	if err := g.gather(ctx, what); err != nil {
		return nil, locks.stepError(ctx, "wait for records under way", err)
	}
	registryLost := locks.unknown > 0 // and who was registered there may be at work
	if !g.unregistered && !registryLost {
		return g.parts(what, begun, all), nil
	}
	if !registryLost {
		var err error
		if g.empty, err = g.logIsEmpty(ctx, begun.Add(-what.window)); err != nil {
			return nil, locks.stepError(ctx, "read the log", err)
		}
	}
	if !g.empty { // somebody has written events who is not registered: a gateway of a former version
		if err := g.waitForAll(ctx); err != nil {
			return nil, locks.stepError(ctx, "wait for records under way", err)
		}
	}
	return g.parts(what, begun, all), nil
}

// readShared reads the log as far as locks.shared says, for the buckets that it covers, and
// sets their markers.
func (r *Rebuilder) readShared(ctx context.Context, locks *bucketLocks, begun time.Time, tally *Tally, progress func(Tally)) error {
	shared, before, pass := locks.shared, *tally, Tally{}
	restorer := newRestorer(ctx, r, shared, begun, &pass, func(t Tally) {
		sum := before
		sum.add(t)
		progress(sum)
	})
	err := r.log.Replay(restorer.failed, shared.from, shared.toWatermark, restorer.visit, restorer.watch, shared)
	if rest := shared.rest(); err == nil && len(rest) > 0 {
		// Topics that only the gateway knows that began.
		err = r.log.HelpReplay(restorer.failed, shared.from, rest, restorer.visit, restorer.watch, shared)
	}
	written := restorer.close()
	tally.add(pass)
	if errors.Is(written, errNotFixed) {
		return locks.stepError(ctx, "read the log", written)
	}
	if written != nil {
		return locks.stepError(ctx, "write claims", written)
	}
	if err != nil {
		return locks.stepError(ctx, "read the log", err)
	}
	ready := len(locks.ready)
	if err := r.setMarkers(ctx, locks, shared.covered, shared.generation, tally); err != nil {
		return err
	}
	if int(shared.covered.count.Load()) <= len(locks.ready)-ready {
		shared.forget(ctx) // else another gateway has some of its buckets
	}
	return nil
}

// setMarkers sets the markers of the buckets that are covered, as far as they are held.
func (r *Rebuilder) setMarkers(ctx context.Context, locks, covered *bucketLocks, generation uint64, tally *Tally) error {
	// Again, because reading took time: a bucket that an old gateway got meanwhile is lost.
	if err := r.retry(ctx, func() error { return r.old.exclude(ctx, locks.buckets(), "") }); err != nil {
		return locks.stepError(ctx, "set markers", err)
	}
	err := locks.complete(ctx, covered, generation)
	tally.Buckets = len(locks.ready)
	if err != nil {
		return locks.stepError(ctx, "set markers", err)
	}
	return nil
}

// stepError is the error of a step that failed: errOvertaken if all buckets were lost
// meanwhile, because that is why.
func (l *bucketLocks) stepError(ctx context.Context, step string, err error) error {
	if errors.Is(err, errStateGone) {
		l.renew(ctx) // the locks may be gone with it
	}
	if l.none() || errors.Is(err, errOvertaken) || errors.Is(context.Cause(ctx), errOvertaken) {
		return errOvertaken
	}
	return fmt.Errorf("%s: %w", step, err)
}
