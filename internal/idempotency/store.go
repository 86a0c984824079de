package idempotency

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/redis"
)

// Config sets how claims are kept.
type Config struct {
	// Installation names what the claims belong to: those of others on the same Redis are
	// out of sight. It may be empty until Kafka has said which cluster it is.
	Installation func() string
	TTL          time.Duration // how long a receipt is remembered: the idempotency window
	Lease        time.Duration // how long a claim is held before another attempt may take it over
	// Transactional says that a take-over first fences the producer of the earlier
	// attempt. A retry then need not wait for the lease of an attempt that is known to
	// have failed.
	Transactional bool
	// Generations counts the states of the claims. Without it each rebuild waits a lease
	// and reads the whole window.
	Generations Generations
	// DeliveryTimeout bounds how long the log may take to acknowledge a record.
	DeliveryTimeout time.Duration
}

const (
	// maxBatch keeps one script well below a millisecond of Redis' time.
	maxBatch = 128
	// batchTimeout bounds one script, retries of the client library included.
	batchTimeout = 1500 * time.Millisecond
	// One claim script runs at a time. Calls that arrive meanwhile make the next batch
	// larger, which costs the gateway and Redis less than more round trips would. On a
	// Cluster several run, so that one slow node does not delay the claims of all others.
	maxConcurrentScripts        = 1
	maxConcurrentClusterScripts = 4
	// maxLooks leaves connections for the claims, however many events that no longer
	// validate look for their receipts.
	maxLooks = redis.PoolSize / 2
)

// Store keeps claims in Redis. It is safe for concurrent use. Settlements are applied
// while Run runs, and a Redis that takes no claims is noticed while Watch runs; a
// [Rebuilder] restores claims that Redis lost.
type Store struct {
	cfg     Config
	scripts *scriptRunner
	logger  *slog.Logger
	metrics *Metrics
	claims  batcher[*claimCall]
	looks   chan struct{} // holds one element per look in progress
	settles *settleQueue
	recent  *recentReceipts
	unready *unreadyBuckets
	rebuild *rebuildWatch
	old     *oldGateways
	// unsettled are the claims to write again if Redis loses them; nil without generations.
	unsettled *unsettledClaims
	member    *membership
	wake      chan struct{} // asks the guard to check the markers now

	available *availability
}

// New returns a Store on rdb, which the caller closes after Run has returned.
func New(cfg Config, rdb redis.Client, logger *slog.Logger, metrics *Metrics) *Store {
	scripts := newScriptRunner(rdb, cfg.Installation)
	s := &Store{
		cfg: cfg, scripts: scripts, logger: logger, metrics: metrics, old: newOldGateways(scripts),
		recent: newRecentReceipts(min(cfg.TTL, recentAge)), looks: make(chan struct{}, maxLooks),
		unready: newUnreadyBuckets(cfg, metrics.unready), wake: make(chan struct{}, 1),
		rebuild: &rebuildWatch{gauges: metrics.progress},
	}
	if cfg.Generations != nil {
		s.unsettled = newUnsettledClaims(cfg.Lease)
	}
	s.member = &membership{cfg: cfg, gens: cfg.Generations, unsettled: s.unsettled}
	s.available = newAvailability(s.scripts, logger, metrics)
	s.claims = batcher[*claimCall]{run: s.claimBatch, maxBatch: maxBatch, maxRunning: maxConcurrentScripts}
	if s.scripts.cluster {
		s.claims.maxRunning = maxConcurrentClusterScripts
	}
	s.settles = &settleQueue{
		cfg: cfg, scripts: s.scripts, logger: logger, metrics: metrics,
		queue: make(chan *settlement, settleQueueLimit), available: s.available,
	}
	return s
}

// Run applies settlements until ctx ends, then those that are still queued, for at
// most the drain time.
func (s *Store) Run(ctx context.Context, drain time.Duration) { s.settles.run(ctx, drain) }

// Ready reports whether, as far as is known, no claims are lost.
func (s *Store) Ready() bool { return s.unready.none() }

// Ping asks Redis whether it answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.scripts.rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	return nil
}

// Settle remembers the receipt, here at once and in Redis soon.
func (s *Store) Settle(c event.Claim, r event.Receipt) {
	s.unsettled.end(c.Token)
	var room [512]byte // enough for most
	receipt := r.AppendJSON(room[:0])
	both := string(appendSettled(receipt, c.Fingerprint, event.KeepReceipt(r, receipt))) // one allocation
	s.recent.add(c.ID, c.Fingerprint, both[:len(receipt)])
	s.settles.add(&settlement{op: opSettle, id: c.ID, token: c.Token, record: both[len(receipt):]})
}

// Written notes that the record of a claim is acknowledged. The claim stays as it is.
func (s *Store) Written(c event.Claim) { s.unsettled.end(c.Token) }

// MarkUnknown marks a claim unknown; its lease runs on.
func (s *Store) MarkUnknown(c event.Claim) {
	s.unsettled.unknown(c.Token)
	s.settles.add(&settlement{op: opMarkUnknown, id: c.ID, token: c.Token})
}

// Release deletes a claim under which surely nothing was or will be written. The
// channel closes when that is done or given up.
func (s *Store) Release(c event.Claim) <-chan struct{} {
	failpoint.At(failpoint.Releasing)
	s.unsettled.end(c.Token)
	e := &settlement{op: opRelease, id: c.ID, token: c.Token, done: make(chan struct{})}
	s.settles.add(e)
	return e.done
}

// Settled reports whether no claim of this process is unsettled: nothing would be lost with
// it. It is false where that is not known.
func (s *Store) Settled() bool { return s.unsettled.none() }

// wakeGuard asks the guard to check the markers now.
func (s *Store) wakeGuard() {
	select {
	case s.wake <- struct{}{}:
	default: // it is asked already
	}
}
