package idempotency

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

// claimCall is one claim in a batch.
type claimCall struct {
	*callGroup
	claim    event.Claim
	index    int // among the claims of its caller
	answered bool
	// The generation that the claim's script names, and until when records may be in flight
	// under it.
	generation uint64
	until      time.Time
	text       string // as the script answers
	err        error
}

// callGroup is what the calls of one caller share: the caller waits once for all of
// them.
type callGroup struct {
	ctx  context.Context // of the caller: claims that no caller waits for are not sent
	left atomic.Int32    // calls without an answer
	done chan struct{}   // closed when none is left; the caller reads answers only then
}

func (g *callGroup) begin(ctx context.Context, calls int) {
	g.ctx, g.done = ctx, make(chan struct{})
	g.left.Store(int32(calls)) //nolint:gosec // as many as a batch has events
}

// wait waits for all answers.
func (g *callGroup) wait() error {
	select {
	case <-g.done:
		return nil
	case <-g.ctx.Done():
		return fmt.Errorf("claim: %w", g.ctx.Err())
	}
}

// answer gives the call its answer, once. It does not wait for the caller.
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
// lost and this one was not made, an *event.StoreAway that Redis is known to be away and
// was not asked, an *event.Unconfirmed that it was not asked because of Kafka; other errors mean that Redis did not answer, and the claim may have been
// made nevertheless.
func (s *Store) Claim(ctx context.Context, c event.Claim) (event.ClaimResult, error) {
	if result, ok := s.recent.look(c.ID, c.Fingerprint); ok {
		return result, nil
	}
	if err := s.refuse(c.ID); err != nil {
		return event.ClaimResult{}, err
	}
	var one struct { // a single allocation
		callGroup
		call claimCall
	}
	one.begin(ctx, 1)
	one.call = claimCall{callGroup: &one.callGroup, claim: c}
	s.claims.add(&one.call)
	return s.resultOf(&one.call, one.wait())
}

// ClaimAll is Claim for several: they share round trips, and their caller waits
// once for all of them. Results and errors are in the order of the claims.
func (s *Store) ClaimAll(ctx context.Context, claims []event.Claim) ([]event.ClaimResult, []error) {
	results, errs := make([]event.ClaimResult, len(claims)), make([]error, len(claims))
	all, calls := make([]claimCall, len(claims)), make([]*claimCall, 0, len(claims))
	var group callGroup
	known := s.recent.find(claims)
	for i, c := range claims {
		var ok bool
		if results[i], ok = known[i].result(c.Fingerprint); ok {
			continue
		}
		if errs[i] = s.refuse(c.ID); errs[i] == nil {
			all[i] = claimCall{callGroup: &group, claim: c, index: i}
			calls = append(calls, &all[i])
		}
	}
	if len(calls) == 0 {
		return results, errs
	}
	group.begin(ctx, len(calls))
	s.claims.add(calls...)
	err := group.wait()
	for _, c := range calls {
		results[c.index], errs[c.index] = s.resultOf(c, err)
	}
	return results, errs
}

// refuse is an *event.StoreAway if Redis is known to be away.
func (s *Store) refuse(id event.ClaimID) error {
	err := s.available.refuse(bucketOf(id))
	if err != nil {
		s.metrics.failed("claim")
	}
	return err
}

// resultOf is the result of a call. waitErr says that its caller gave up waiting.
func (s *Store) resultOf(call *claimCall, waitErr error) (event.ClaimResult, error) {
	err := waitErr
	if err == nil {
		err = call.err
	}
	if err != nil {
		if unconfirmed := (*event.Unconfirmed)(nil); !errors.As(err, &unconfirmed) { // Redis did not fail
			s.metrics.failed("claim")
		}
		return event.ClaimResult{}, err
	}
	result, err := s.readAnswer(call.text, call.claim.ID, call.claim.Fingerprint, claimKind(&call.claim))
	if result.State == event.Claimed {
		result.Until = call.until
	}
	return result, err
}

// readAnswer reads a script's answer. "M" is an *event.Rebuilding.
func (s *Store) readAnswer(text string, id event.ClaimID, f event.Fingerprint, kind string) (event.ClaimResult, error) {
	if text == "M" {
		s.wakeGuard()
		return event.ClaimResult{}, s.rebuilding(id, kind)
	}
	return parseResult(text, f, s.cfg.Transactional)
}

// rebuilding is the error while claims of the kind, in the id's bucket, may be lost.
func (s *Store) rebuilding(id event.ClaimID, kind string) error {
	return s.rebuild.refusal(kind, s.unready.estimate(bucketOf(id), time.Now()))
}

// gained notes that a script gave this process the claim. If the reply came too late,
// under a newer generation, it ends the claim, and the error is an *event.Rebuilding:
// nothing may be published under it.
func (s *Store) gained(c *event.Claim, generation uint64, order string, end func(event.Claim)) error {
	if s.unsettled.hold(generation, c.Token, order) {
		return nil
	}
	end(*c)
	return s.rebuilding(c.ID, claimKind(c))
}

// release is Release for a caller that does not wait.
func (s *Store) release(c event.Claim) { s.Release(c) }

// TakeOver exchanges the abandoned record for c if Redis still holds it as it was
// found. The partitions of its topic stay in the record, and so does its time of first
// claim, unless the taker's clock is behind it: the next recovery read must begin before
// the records of both. Errors are as for a claim.
func (s *Store) TakeOver(ctx context.Context, c event.Claim, abandoned event.AbandonedClaim) (event.ClaimResult, error) {
	var earlier []int32
	if abandoned.Topic == c.Placement.Topic {
		earlier = abandoned.Partitions
	}
	from := min(abandoned.From.UnixMilli(), c.Begun.UnixMilli())
	if err := s.refuse(c.ID); err != nil {
		return event.ClaimResult{}, err
	}
	keys, err := s.scripts.keys.get()
	if err != nil {
		return event.ClaimResult{}, err
	}
	if err := s.old.ensure(ctx, bucketOf(c.ID)); err != nil {
		s.metrics.failed("take-over")
		return event.ClaimResult{}, err
	}
	generation, until, err := s.member.current(failpoint.Now())
	if err != nil {
		return event.ClaimResult{}, err
	}
	s.unsettled.send(generation, from, earlier, &c)
	text, err := takeOverScript.Run(ctx, s.scripts.rdb, []string{keys.claim(c.ID), keys.marker(bucketOf(c.ID))},
		abandoned.Text, s.cfg.Lease.Milliseconds(), s.cfg.TTL.Milliseconds(), from, appendClaimBody(nil, c, earlier), generation, claimKind(&c)).Text()
	if err != nil {
		s.metrics.failed("take-over")
		return event.ClaimResult{}, fmt.Errorf("take over claim: %w", err)
	}
	if order, ok := gainedOrder(text); ok {
		// Marked unknown, and not released, if it came too late: the claim has earlier owners.
		if err := s.gained(&c, generation, order, s.MarkUnknown); err != nil {
			return event.ClaimResult{}, err
		}
		return event.ClaimResult{State: event.Claimed, Until: until}, nil
	}
	s.unsettled.end(c.Token)
	return s.readAnswer(text, c.ID, c.Fingerprint, claimKind(&c))
}

// Look reads the record without claiming. A zero f matches any payload. If nothing is
// found while claims may be lost, the error is an *event.Rebuilding.
func (s *Store) Look(ctx context.Context, id event.ClaimID, f event.Fingerprint) (event.ClaimResult, error) {
	if result, ok := s.recent.look(id, f); ok {
		return result, nil
	}
	if err := s.refuse(id); err != nil {
		return event.ClaimResult{}, err
	}
	keys, err := s.scripts.keys.get()
	if err != nil {
		return event.ClaimResult{}, err
	}
	select {
	case s.looks <- struct{}{}:
		defer func() { <-s.looks }()
	case <-ctx.Done():
		return event.ClaimResult{}, fmt.Errorf("look up claim: %w", ctx.Err())
	}
	text, err := lookScript.Run(ctx, s.scripts.rdb, []string{keys.claim(id), keys.marker(bucketOf(id))}).Text()
	if err != nil {
		s.metrics.failed("look")
		return event.ClaimResult{}, fmt.Errorf("look up claim: %w", err)
	}
	return s.readAnswer(text, id, f, "")
}
