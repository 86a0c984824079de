package idempotency

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/redis"
)

// Config sets how claims are kept.
type Config struct {
	TTL   time.Duration // how long a receipt is remembered: the idempotency window
	Lease time.Duration // how long a claim is held before another may take over
	// Transactional says that a take-over first fences the producer of the
	// attempt before: who knows that it failed need not wait for its lease.
	Transactional bool
}

const (
	// maxBatch keeps one script well below a millisecond of Redis' time.
	maxBatch = 128
	// One batch is under way at a time: those who come meanwhile make the next
	// one larger, which is cheaper for both sides than more round trips. On a
	// Cluster a slow node must not hold up everybody.
	lanes        = 1
	clusterLanes = 4
	// maxLooks leaves connections to the claims, however many events that no
	// longer validate ask for their receipts.
	maxLooks = redis.PoolSize / 2
)

// Store keeps claims in Redis. It is safe for concurrent use; endings are
// applied while Run runs, and lost claims rebuilt while Guard runs.
type Store struct {
	cfg     Config
	rdb     redis.Client
	cluster bool
	logger  *slog.Logger
	metrics *Metrics
	claims  gatherer[*claimCall]
	looks   chan struct{} // holds one element per look under way
	endings *endings
	recent  *recent
	unready unready
	kicks   chan struct{} // asks Guard to look at the markers now
	pace    pace
}

// New returns a Store on rdb, which the caller closes after Run has returned.
func New(cfg Config, rdb redis.Client, logger *slog.Logger, metrics *Metrics) *Store {
	_, cluster := rdb.(*goredis.ClusterClient)
	s := &Store{
		cfg: cfg, rdb: rdb, cluster: cluster, logger: logger, metrics: metrics,
		recent: newRecent(min(cfg.TTL, recentAge)), looks: make(chan struct{}, maxLooks),
		unready: unready{lease: cfg.Lease, transactional: cfg.Transactional, gauge: metrics.unready},
		kicks:   make(chan struct{}, 1), pace: usualPace,
	}
	for bucket := range bucketCount { // until they were looked at
		s.unready.begin(byte(bucket), time.Now())
	}
	s.claims = gatherer[*claimCall]{run: s.claimBatch, maxBatch: maxBatch, lanes: lanes}
	if cluster {
		s.claims.lanes = clusterLanes
	}
	s.endings = newEndings(s)
	return s
}

// Run applies endings until ctx ends, then those that are still queued, for at
// most the drain time.
func (s *Store) Run(ctx context.Context, drain time.Duration) { s.endings.run(ctx, drain) }

// Ready reports whether, as far as is known, no claims are lost.
func (s *Store) Ready() bool { return s.unready.none() }

// Ping asks Redis whether it answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	return nil
}

// claimCall is one claim in a batch.
type claimCall struct {
	*asked
	claim    event.Claim
	place    int // among those asked for together
	answered bool
	text     string // as the script answers
	err      error
}

// asked is what the calls of one caller share, who waits once for all of them.
type asked struct {
	ctx  context.Context // of the caller: skips claims that nobody waits for
	left atomic.Int32    // calls without answer
	done chan struct{}   // closed when none is left; only then the caller reads answers
}

func (a *asked) begin(ctx context.Context, calls int) {
	a.ctx, a.done = ctx, make(chan struct{})
	a.left.Store(int32(calls)) //nolint:gosec // as many as a batch has events
}

// wait waits for all answers.
func (a *asked) wait() error {
	select {
	case <-a.done:
		return nil
	case <-a.ctx.Done():
		return fmt.Errorf("claim: %w", a.ctx.Err())
	}
}

// answer tells the caller once, without waiting for it.
func (c *claimCall) answer(text string, err error) {
	if c.answered {
		return
	}
	c.answered, c.text, c.err = true, text, err
	if c.left.Add(-1) == 0 {
		close(c.done)
	}
}

// Claim asks to hold an identity. An *event.Rebuilding means that claims may be
// lost and this one does not stand; other errors mean that Redis gave no answer,
// and the claim may stand all the same.
func (s *Store) Claim(ctx context.Context, c event.Claim) (event.ClaimResult, error) {
	if standing, ok := s.recent.look(c.ID, c.Fingerprint); ok {
		return standing, nil
	}
	var one struct { // in one piece of memory
		asked
		call claimCall
	}
	one.begin(ctx, 1)
	one.call = claimCall{asked: &one.asked, claim: c}
	s.claims.add(&one.call)
	return s.claimed(&one.call, one.wait())
}

// answer reads a script's answer. "M" is an *event.Rebuilding.
func (s *Store) answer(text string, id event.ClaimID, f event.Fingerprint) (event.ClaimResult, error) {
	if text == "M" {
		s.kick()
		return event.ClaimResult{}, &event.Rebuilding{Left: s.unready.left(bucketOf(id), time.Now())}
	}
	return standing(text, f, s.cfg.Transactional)
}

// ClaimAll is Claim for several: they share round trips, and their caller waits
// once for all of them. What it returns is in the order of the claims.
func (s *Store) ClaimAll(ctx context.Context, claims []event.Claim) ([]event.ClaimResult, []error) {
	standings, errs := make([]event.ClaimResult, len(claims)), make([]error, len(claims))
	all, calls := make([]claimCall, len(claims)), make([]*claimCall, 0, len(claims))
	var together asked
	known := s.recent.find(claims)
	for i, c := range claims {
		var ok bool
		if standings[i], ok = known[i].standing(c.Fingerprint); !ok {
			all[i] = claimCall{asked: &together, claim: c, place: i}
			calls = append(calls, &all[i])
		}
	}
	if len(calls) == 0 {
		return standings, errs
	}
	together.begin(ctx, len(calls))
	s.claims.add(calls...)
	err := together.wait()
	for i := range calls {
		standings[calls[i].place], errs[calls[i].place] = s.claimed(calls[i], err)
	}
	return standings, errs
}

// claimed is what came of a call, unless its caller waited in vain.
func (s *Store) claimed(call *claimCall, unanswered error) (event.ClaimResult, error) {
	err := unanswered
	if err == nil {
		err = call.err
	}
	if err != nil {
		s.metrics.failed("claim")
		return event.ClaimResult{}, err
	}
	return s.answer(call.text, call.claim.ID, call.claim.Fingerprint)
}

// TakeOver exchanges the abandoned record for c if it still stands as it was
// found. The partitions of its topic stay, and so does its time of first claim,
// unless the taker's clock is behind it: the next recovery read must begin before
// the records of both. Errors are as for a claim.
func (s *Store) TakeOver(ctx context.Context, c event.Claim, prior event.AbandonedClaim) (event.ClaimResult, error) {
	var earlier []int32
	if prior.Topic == c.Placement.Topic {
		earlier = prior.Partitions
	}
	from := min(prior.From.UnixMilli(), c.Begun.UnixMilli())
	text, err := takeOverScript.Run(ctx, s.rdb, []string{recordKey(c.ID), markerKey(bucketOf(c.ID))},
		prior.Text, s.cfg.Lease.Milliseconds(), s.cfg.TTL.Milliseconds(), from, appendClaimBody(nil, c, earlier)).Text()
	if err != nil {
		s.metrics.failed("take-over")
		return event.ClaimResult{}, fmt.Errorf("take over claim: %w", err)
	}
	return s.answer(text, c.ID, c.Fingerprint)
}

// Look reads what stands without claiming. A zero f stands for any payload.
// Nothing found while claims may be lost is an *event.Rebuilding.
func (s *Store) Look(ctx context.Context, id event.ClaimID, f event.Fingerprint) (event.ClaimResult, error) {
	if standing, ok := s.recent.look(id, f); ok {
		return standing, nil
	}
	select {
	case s.looks <- struct{}{}:
		defer func() { <-s.looks }()
	case <-ctx.Done():
		return event.ClaimResult{}, fmt.Errorf("look up claim: %w", ctx.Err())
	}
	text, err := lookScript.Run(ctx, s.rdb, []string{recordKey(id), markerKey(bucketOf(id))}).Text()
	if err != nil {
		s.metrics.failed("look")
		return event.ClaimResult{}, fmt.Errorf("look up claim: %w", err)
	}
	return s.answer(text, id, f)
}

// standing reads a script's answer: "W" or "R<now> <record>".
func standing(text string, f event.Fingerprint, transactional bool) (event.ClaimResult, error) {
	if text == "W" {
		return event.ClaimResult{State: event.Claimed}, nil
	}
	nowText, found, ok := strings.Cut(strings.TrimPrefix(text, "R"), " ")
	now, err := strconv.ParseInt(nowText, 10, 64)
	if !ok || err != nil {
		return event.ClaimResult{}, fmt.Errorf("read answer %.20q of the claim script", text)
	}
	if found == "" {
		return event.ClaimResult{State: event.Absent}, nil
	}
	rec, err := parseRecord(found)
	if err != nil {
		return event.ClaimResult{}, err
	}
	left := time.Duration(rec.leaseEndMs-now) * time.Millisecond
	switch {
	case f != (event.Fingerprint{}) && rec.fingerprint != encodeFingerprint(f):
		return event.ClaimResult{State: event.Reused}, nil
	case rec.state == stateSettled:
		return event.ClaimResult{State: event.Settled, Receipt: rec.receipt}, nil
	case left <= 0, transactional && rec.state == stateUnknown:
		return event.ClaimResult{State: event.Abandoned, Abandoned: rec.prior(found, failpoint.Now().Add(left))}, nil
	case rec.state == stateUnknown:
		return event.ClaimResult{State: event.LeftUnknown, LeaseLeft: left}, nil
	default:
		return event.ClaimResult{State: event.InProgress, LeaseLeft: left}, nil
	}
}

// prior is an abandoned record as a take-over needs it.
func (rec stored) prior(text string, leaseEnded time.Time) event.AbandonedClaim {
	return event.AbandonedClaim{
		Text: text, Token: rec.token, Fingerprint: decodeFingerprint(rec.fingerprint),
		Owner: rec.owner, Topic: rec.topic, Partitions: rec.partitions,
		From: time.UnixMilli(rec.fromMs), LeaseEnded: leaseEnded,
	}
}
