package idempotency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
)

// gathering begins a generation and waits until nothing that was claimed before can come
// into the log unnoticed: each registered gateway has joined, and so has written its
// unsettled claims to this Redis, or is silent and over. Without generations all are
// silent.
type gathering struct {
	*Rebuilder
	locks *bucketLocks

	generation uint64
	raised     time.Time       // after that
	registered []event.Gateway // then
	silent     []string        // of them, in the end; nil and not measured: all
	// unregistered says that only this process is registered, and that Redis had nothing: on
	// a first start nobody has to be waited for, unless the log has records of gateways
	// that do not register. It is empty if it has none at all.
	unregistered, empty bool
}

// gather begins the generation and waits.
func (g *gathering) gather(ctx context.Context, what task) error {
	if !g.member.measured() {
		return g.log.Quiesce(ctx, time.Now(), nil)
	}
	if g.locks.renew(ctx) && g.locks.none() { // this process may have slept since it locked
		return errOvertaken
	}
	if err := g.raise(ctx); err != nil {
		return fmt.Errorf("raise the generation: %w", err)
	}
	if err := g.locks.raised(ctx, g.generation); err != nil {
		return fmt.Errorf("write the generation: %w", err)
	}
	g.join(ctx, g.generation) // on failure this process is silent
	self := g.cfg.Generations.Self()
	g.unregistered = what.seen.isEmpty() && !what.wasReady && !slices.ContainsFunc(g.registered, func(o event.Gateway) bool { return o.ID != self })
	waiting := g.mayWrite(ctx)
	var err error
	if g.silent, err = g.awaitJoins(ctx, waiting, g.raised.Add(g.intervals.joinFor)); err != nil {
		return err
	}
	if len(g.silent) == 0 {
		return g.lost(ctx)
	}
	g.logSilent(ctx, g.names(g.silent))
	return g.waitForSilent(ctx)
}

func (g *gathering) logSilent(ctx context.Context, gateways []string) {
	if g.cfg.Transactional {
		g.logger.LogAttrs(ctx, slog.LevelInfo, "gateways do not answer: a rebuild fences their producers first", slog.Any("gateways", gateways))
		return
	}
	g.logger.LogAttrs(ctx, slog.LevelInfo, "gateways do not answer: a rebuild waits until what they may have in flight is over",
		slog.Any("gateways", gateways), slog.Float64("seconds", time.Until(g.over()).Seconds()))
}

// over is when nothing that was claimed before can be in flight any more, except in a
// transaction.
func (g *gathering) over() time.Time { return g.raised.Add(g.cfg.silence()) }

// raise begins the generation, within a lease: this gateway alone may be cut off from Kafka, and
// others wait for its locks.
func (g *gathering) raise(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, g.cfg.Lease)
	defer cancel()
	generation, registered, err := g.cfg.Generations.Raise(limit)
	g.generation, g.raised, g.registered = generation.Number, time.Now(), registered
	return err
}

// mayWrite lists the registered processes that may have records in flight. One that did
// not renew its registration for two leases has none, unless in a transaction.
func (g *gathering) mayWrite(context.Context) []string {
	var ids []string
	for _, o := range g.registered {
		if g.cfg.Transactional || g.raised.Sub(o.Renewed) < 2*g.cfg.silence()+clockDifference {
			ids = append(ids, o.ID)
		}
	}
	return ids
}

// waitForSilent returns when the silent gateways are over, or have joined after all.
func (g *gathering) waitForSilent(ctx context.Context) (err error) {
	if g.cfg.Transactional {
		return g.log.Quiesce(ctx, g.raised, g.silent)
	}
	g.unready.expect(g.locks.buckets(), g.over())
	if g.silent, err = g.awaitJoins(ctx, g.silent, g.over()); err != nil {
		return err
	}
	return g.lost(ctx)
}

// waitForAll returns when nobody has anything in flight that was claimed before.
func (g *gathering) waitForAll(ctx context.Context) error {
	g.unregistered, g.silent = false, []string{"any that does not register"}
	if g.cfg.Transactional {
		g.logSilent(ctx, g.silent)
		return g.log.Quiesce(ctx, g.raised, nil)
	}
	g.unready.expect(g.locks.buckets(), g.over())
	g.logSilent(ctx, g.silent)
	if !backoff.SleepUntil(ctx, g.over()) {
		return ctx.Err()
	}
	return g.lost(ctx)
}

var errNotEmpty = errors.New("the log has a record")

// logIsEmpty reports whether there is no deduplicated record since from. It takes a log that it
// cannot read soon for one that has some.
func (g *gathering) logIsEmpty(ctx context.Context, from time.Time) (bool, error) {
	limit, cancel := context.WithTimeout(ctx, g.intervals.fix)
	defer cancel()
	err := g.log.Replay(limit, from, g.toWatermark(), func(event.LogEntry) error { return errNotEmpty },
		func(topics []event.TopicReplay) { g.state.seeUnannounced(Tally{Topics: topics}, time.Now()) }, nil)
	if errors.Is(err, errNotEmpty) || limit.Err() != nil && ctx.Err() == nil {
		return false, nil
	}
	return true, err
}

func (g *gathering) lost(ctx context.Context) error {
	if g.locks.none() {
		return errOvertaken
	}
	return ctx.Err()
}

// awaitJoins waits until each of the gateways has joined the rebuild, and returns those
// that have not by then: they are silent.
func (g *gathering) awaitJoins(ctx context.Context, gateways []string, until time.Time) (silent []string, err error) {
	limit, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	silent = gateways
	backoff.Poll(limit, g.intervals.joins, func() bool {
		if joined, err := g.locks.joined(limit); err == nil {
			silent = slices.DeleteFunc(slices.Clone(gateways), func(id string) bool { return joined[id] })
		}
		return len(silent) == 0 || g.locks.none()
	})
	return silent, ctx.Err()
}

// toWatermark reports whether nothing can appear behind the high watermark.
func (g *gathering) toWatermark() bool { return g.member.measured() && len(g.silent) == 0 }

func (g *gathering) names(ids []string) []string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id
		for _, o := range g.registered {
			if o.ID == id {
				names[i] = o.Host + "/" + id
			}
		}
	}
	return names
}

// forgetWithin bounds forget: the guard waits for it.
const forgetWithin = 5 * time.Second

// forget deletes the registrations of those that were silent and are over. One that has
// renewed its registration since lives.
func (g *gathering) forget(ctx context.Context) {
	if !g.member.measured() || time.Since(g.raised) < g.cfg.silence() && !g.stale() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, forgetWithin)
	defer cancel()
	now, err := g.cfg.Generations.Registered(ctx)
	if err != nil {
		return // the next rebuild does it
	}
	var over []string
	for _, o := range now {
		before := slices.IndexFunc(g.registered, func(b event.Gateway) bool { return b.ID == o.ID })
		if before < 0 || !g.registered[before].Renewed.Equal(o.Renewed) || o.ID == g.cfg.Generations.Self() {
			continue
		}
		if slices.Contains(g.silent, o.ID) && time.Since(g.raised) >= g.cfg.silence() || g.isStale(o) {
			over = append(over, o.ID)
		}
	}
	if len(over) == 0 {
		return
	}
	if err := g.cfg.Generations.Forget(ctx, over); err != nil {
		g.logger.Debug("deleting the registrations of gateways that are over failed", "error", err)
	}
}

func (g *gathering) isStale(o event.Gateway) bool {
	return g.raised.Sub(o.Renewed) >= 2*g.cfg.silence()+clockDifference
}

func (g *gathering) stale() bool { return slices.ContainsFunc(g.registered, g.isStale) }

// part is some buckets, and since when their claims may be missing.
type part struct {
	buckets []byte
	from    time.Time
}

// parts measures the loss. First come the buckets that miss only what is newer than a
// beat, then those that need the whole window.
func (g *gathering) parts(what task, begun time.Time, buckets []byte) []part {
	whole := part{from: begun.Add(-what.window)} // counted from before the wait, which does not shorten it
	tail := part{from: begun}
	for _, b := range buckets {
		since, ok := g.missingSince(what.seen, b)
		if !ok || since.Before(whole.from) {
			whole.buckets = append(whole.buckets, b)
			continue
		}
		tail.buckets = append(tail.buckets, b)
		if since.Before(tail.from) {
			tail.from = since
		}
	}
	var parts []part
	for _, p := range []part{tail, whole} {
		if len(p.buckets) > 0 {
			parts = append(parts, p)
		}
	}
	if g.member.measured() {
		g.logger.Info("what redis may have lost is measured", "generation", g.generation, "gateways", len(g.registered), "silent", len(g.silent),
			"buckets_since_a_beat", len(tail.buckets), "seconds_since", begun.Sub(tail.from).Seconds(), "buckets_of_the_whole_window", len(whole.buckets))
	}
	return parts
}

func (g *gathering) missingSince(seen snapshot, b byte) (time.Time, bool) {
	f, ok := seen[b]
	if !ok || !g.member.measured() || f.marker != g.locks.locked[b].marker || f.server.replid != g.locks.locked[b].replid {
		return time.Time{}, false // another Redis, or marker, than the one whose beat was read
	}
	return seen.missingSince(b, g.generation-1, g.cfg.Generations.Next)
}
