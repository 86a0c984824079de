package idempotency

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/internal/failpoint"
)

// guard checks the markers and rebuilds buckets whose claims may be lost.
type guard struct {
	*Rebuilder
	wasReady  [bucketCount]bool // at some check of this process
	seen      [bucketCount]lastSeen
	ahead     aheadOfKafka
	contended bool // another gateway rebuilds, and the log says so
	helper    helper
	// unanswered counts failures in a row to find interrupted rebuilds.
	unanswered int
}

// Guard checks the markers of all buckets at once, then every few seconds and
// when a claim finds a wrong one, until ctx ends. It rebuilds from the log what may
// be lost, unless another gateway does.
func (r *Rebuilder) Guard(ctx context.Context) {
	g := &guard{Rebuilder: r}
	var beside sync.WaitGroup
	defer beside.Wait()
	defer g.helper.wait()
	if !backoff.Poll(ctx, r.intervals.least, r.scripts.keys.areKnown) {
		return // Kafka has not said which cluster it is
	}
	if !backoff.Poll(ctx, probeInterval, func() bool { return r.available.learnSuitable(ctx) }) {
		return
	}
	beside.Go(func() { joiner{r}.run(ctx) })
	beside.Go(func() { r.writeBeats(ctx) })
	g.excluded(r.old.exclude(ctx, allBuckets(), "")) // first: what the markers say counts from then on
	beside.Go(func() {
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
	switch {
	case len(wrong) == 0 && g.unready.none():
		g.contended = false
		g.state.end()
		return g.intervals.check
	case len(wrong) == 0, !g.member.known():
		return g.intervals.contended // a generation is still to be read in Kafka
	}
	seen, err := g.look(ctx)
	if err != nil && ctx.Err() == nil {
		g.metrics.failed("check")
	}
	if wrong = g.renewMarkers(ctx, wrong, seen); len(wrong) == 0 {
		return g.intervals.check
	}
	if g.member.trouble(failpoint.Now()) != nil { // it could not raise a generation, and others can
		if len(seen.locked(wrong)) > 0 {
			g.help(ctx)
		}
		return g.intervals.contended
	}
	// First: it deletes the locks and markers of buckets in which an old gateway may have worked.
	g.excluded(g.old.exclude(ctx, allBuckets(), ""))
	locks := newBucketLocks(g.Rebuilder)
	locks.unknown = g.ahead.unknown
	defer func() { locks.release(ctx) }()
	busy, err := g.lock(ctx, locks, wrong, seen)
	if err != nil {
		g.metrics.failed("rebuild")
		g.logger.Warn("locking buckets for a rebuild failed", "error", err)
	}
	if locks.none() && locks.abandoned {
		locks = g.resume(ctx, wrong, seen)
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
	if seen, err = g.look(kept); err != nil { // again: what the locks protect
		g.metrics.failed("check")
	}
	_, err = g.rebuild(kept, locks, task{reason: reason, window: g.cfg.TTL, seen: seen, wasReady: g.wasReady != [bucketCount]bool{}}, func(Tally) {})
	if err != nil && kept.Err() == nil {
		return g.intervals.failed
	}
	return g.intervals.least // check again soon: other buckets may have been lost meanwhile
}

// lock locks the buckets that are to be rebuilt: those that are wrong, or, where that
// begins a generation, all. Whoever has the first of them does so, and only if nobody
// rebuilds others, or may go on with that: two gateways that began
// generations for some of the buckets each would make those of the other wrong again.
func (g *guard) lock(ctx context.Context, locks *bucketLocks, wrong []byte, seen snapshot) (busy []byte, err error) {
	if !g.member.measured() {
		return locks.acquire(ctx, wrong, lockWrong)
	}
	if busy = seen.locked(wrong); len(busy) > 0 {
		return busy, nil
	}
	all := allBuckets()
	if busy, err = locks.acquire(ctx, all[:1], lockRaise); len(busy) > 0 {
		return busy, err
	}
	if err == nil && locks.none() {
		return nil, nil // a newer generation: this gateway has to catch up
	}
	if wrong, _ = g.check(ctx); len(wrong) == 0 { // another gateway was faster
		locks.release(ctx)
		locks.dropAll()
		return nil, nil
	}
	if busy, err = locks.acquire(ctx, all, lockRaise); len(busy) > 0 {
		locks.release(ctx)
		locks.dropAll()
	}
	return busy, err
}

// locked are those of the buckets that some gateway rebuilds.
func (s snapshot) locked(buckets []byte) (locked []byte) {
	for _, b := range buckets {
		if f := s[b]; f.lock != "" && strings.HasPrefix(f.lock[strings.Index(f.lock, " ")+1:]+" ", f.server.replid+" ") {
			locked = append(locked, b)
		}
	}
	return locked
}

// look asks Redis for everything that it has of the buckets.
func (r *Rebuilder) look(ctx context.Context) (snapshot, error) {
	seen := snapshot{}
	err := r.scripts.askBuckets(ctx, bucketScript{factsScript, allOfBucket, nil}, allBuckets(), func(b byte, text string) {
		if f, ok := parseFacts(text); ok {
			seen[b] = f
		}
	})
	return seen, err
}

// isEmpty reports whether no bucket had a marker.
func (s snapshot) isEmpty() bool {
	for _, f := range s {
		if f.marker != "" {
			return false
		}
	}
	return len(s) == bucketCount
}

// renewMarkers makes markers right again where Redis has another replication id and has
// lost nothing: after a backup, a first replica, or an expired backlog. It returns the
// others.
func (g *guard) renewMarkers(ctx context.Context, wrong []byte, seen snapshot) (left []byte) {
	same := map[string][]byte{} // buckets by their markers
	number, now := g.member.number(), time.Now()
	for _, b := range wrong {
		newest, beating := seen.beatOf(b)
		if f := seen[b]; f.unchanged(number, g.seen[b], now) && (!beating || !g.beats.lacks(number, newest)) {
			same[f.marker] = append(same[f.marker], b)
		} else {
			left = append(left, b)
		}
	}
	renewed := 0
	for marker, buckets := range same {
		answered := 0
		err := g.scripts.runOnBuckets(ctx, bucketScript{renewMarkerScript, markerAndLock, []any{marker, number}}, buckets, func(b byte, s bucketState) {
			answered++
			if s == bucketReady {
				renewed++
				g.unready.remove(b)
				g.seen[b] = lastSeen{seen[b].server.replid, now}
			} else {
				left = append(left, b)
			}
		})
		if err != nil {
			g.metrics.failed("check")
		}
		if answered < len(buckets) {
			left = nil // asked again soon: nothing is to be read for a reply that was lost
			break
		}
	}
	if renewed > 0 {
		g.metrics.renewed.Inc()
		g.logger.Info("redis has another replication id and has lost nothing, as after a backup or with a first replica: the log is not read", "buckets", renewed)
	}
	return left
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
	g.ahead.unknown = 0
	asked := time.Now()
	script := bucketScript{checkScript, markerOnly, []any{g.member.number()}}
	err := g.scripts.askBuckets(ctx, script, allBuckets(), func(b byte, text string) {
		state := bucketState(text[:1])
		if state == bucketReady {
			g.wasReady[b] = true
			g.seen[b] = lastSeen{text[1:], asked}
			g.unready.remove(b)
			return
		}
		g.unready.add(b, time.Now())
		if state == bucketNewer && g.member.measured() {
			number, err := strconv.ParseUint(text[1:], 10, 64)
			if err != nil || !g.ahead.exceeds(int(b), number, g.member) {
				return // this gateway has to catch up
			}
		}
		foreign = foreign || state != bucketMissing
		lost = lost || state == bucketMissing && g.wasReady[b]
		wrong = append(wrong, b)
	})
	if err != nil && ctx.Err() == nil {
		g.metrics.failed("check")
		g.logger.Debug("checking the markers in redis failed", "error", err) // an outage is named once, by availability
	}
	g.ahead.tell(g.logger)
	switch {
	case foreign:
		return wrong, reasonChanged
	case lost:
		return wrong, reasonLost
	default:
		return wrong, reasonEmpty
	}
}
