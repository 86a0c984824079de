package publish

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"eventgateway/internal/backoff"
)

// Reader reads back what was written: for a taker of an abandoned claim ([Reader.Find]),
// for a retry whose receipt only the record knows ([Reader.Read]), and for a rebuild of
// all claims ([Reader.Quiesce], then [Reader.Replay]).
type Reader struct {
	scan       scanner
	topicFacts topicFacts
	fencer     transactionFencer // nil in idempotent mode
	lease      time.Duration
	logger     *slog.Logger
	metrics    *Metrics

	patience   time.Duration // until it is logged what a replay waits for
	remembered *topicMemory
	homes      atomic.Pointer[homes] // what remembered knows; nil until SetTypes is called
	memory     recoveryMemory
	searches   *searches       // of Find
	records    *searches       // of Read
	running    context.Context // of the searches, which several callers share; ended by stopSearches
	end        context.CancelFunc
}

// topicFacts is what the reader asks the producer's cache of topics.
type topicFacts interface {
	// names are the event types' topics, missing or not.
	names() []string
	// ackedAt is when the newest acknowledged record of this process was sent.
	ackedAt(topic string, partition int32) time.Time
}

// transactionFencer stops transactional producers, of this process and of others.
type transactionFencer interface {
	fence(ctx context.Context, id string) error
	fenceAll(ctx context.Context, silent []string) error
}

func newReader(scan scanner, facts topicFacts, remembered *topicMemory, lease time.Duration, logger *slog.Logger, metrics *Metrics) *Reader {
	r := &Reader{scan: scan, topicFacts: facts, remembered: remembered, patience: replayPatience, lease: lease, logger: logger, metrics: metrics}
	r.searches, r.records = newSearches(r.recoverAll), newSearches(r.readAll)
	r.running, r.end = context.WithCancel(context.Background())
	return r
}

// stopSearches makes the searches end soon; awaitSearches returns when they have.
func (r *Reader) stopSearches() { r.end() }

func (r *Reader) awaitSearches() {
	r.searches.reads.Wait()
	r.records.reads.Wait()
}

// Quiesce waits until nothing that the silent processes claimed before since can still
// be appended: a whole lease, or, in transactional mode, until their producers are fenced.
// So are those of processes that are not registered. A nil silent stands for all
// processes; if there are none, an empty one, there is nothing to wait for.
func (r *Reader) Quiesce(ctx context.Context, since time.Time, silent []string) error {
	if r.fencer != nil {
		return r.fenceAll(ctx, silent)
	}
	if silent != nil && len(silent) == 0 {
		return ctx.Err()
	}
	backoff.SleepUntil(ctx, since.Add(r.lease))
	return ctx.Err()
}

var errNotTransactional = errors.New("the producer is not transactional")

func (r *Reader) fence(ctx context.Context, id string) error {
	if r.fencer == nil || !fenceable(id) {
		return errNotTransactional
	}
	return r.fencer.fence(ctx, id)
}

func (r *Reader) fenceAll(ctx context.Context, silent []string) error {
	if r.fencer == nil {
		return errNotTransactional
	}
	return r.fencer.fenceAll(ctx, silent)
}
