package idempotency

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

// maxClaimWait bounds how long a claim waits for its batch. With batchTimeout it bounds
// the whole claim, so that callers need no timer each.
const maxClaimWait = time.Second

var (
	errPanicked      = errors.New("claiming failed in the gateway itself")
	errWaitedTooLong = errors.New("redis is too slow for the claims that wait")
)

// claimBatch claims for all callers of a batch in one round trip.
func (s *Store) claimBatch(calls []*claimCall) {
	defer func() {
		if p := recover(); p != nil { // no caller of the batch may wait forever
			s.logger.Error("claiming panicked", "panic", p, "stack", string(debug.Stack()))
			for _, c := range calls {
				c.answer("", errPanicked)
			}
		}
	}()
	live := calls[:0]
	now := failpoint.Now() // the clock that Begun was read from
	for _, c := range calls {
		switch {
		case c.ctx.Err() != nil:
			c.answer("", c.ctx.Err())
		case now.Sub(c.claim.Begun) > maxClaimWait && !c.claim.Begun.IsZero():
			c.answer("", errWaitedTooLong)
		default:
			if err := s.available.refuse(bucketOf(c.claim.ID)); err != nil {
				c.answer("", err)
				continue
			}
			live = append(live, c)
		}
	}
	if len(live) == 0 {
		return
	}
	s.metrics.claimBatch.Observe(float64(len(live)))
	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	space, err := s.scripts.keys.get()
	if err != nil {
		for _, c := range live {
			c.answer("", err)
		}
		return
	}
	live = ensureAll(ctx, s.old, live, bucketOfCall, func(c *claimCall, err error) {
		s.available.note(bucketOfCall(c), err)
		c.answer("", err)
	})
	if len(live) == 0 {
		return
	}
	generation, until, err := s.member.current(failpoint.Now())
	if err != nil {
		for _, c := range live {
			c.answer("", err)
		}
		return
	}
	err = runNodes(ctx, s.scripts, claimScript, live, bucketOfCall,
		func(calls []*claimCall) ([]string, []any) {
			from := earliest(calls).UnixMilli()
			s.sendAll(calls, generation, until, from)
			return s.claimArgs(space, calls, generation, from)
		},
		func(calls []*claimCall, cmd *goredis.Cmd) {
			s.noteAll(calls, cmd.Err())
			s.answerClaims(calls, cmd)
		})
	if err != nil { // a metric counts them, and the log names an outage once
		s.logger.Debug("claiming failed", "error", err, "claims", len(live))
	}
}

// noteAll notes what became of a script, once for each bucket.
func (s *Store) noteAll(calls []*claimCall, err error) {
	var noted [bucketCount]bool
	for _, c := range calls {
		if b := bucketOfCall(c); !noted[b] {
			noted[b] = true
			s.available.note(b, err)
		}
		if !s.scripts.cluster {
			return // it has one circuit
		}
	}
}

func bucketOfCall(c *claimCall) byte { return bucketOf(c.claim.ID) }

// sendAll notes claims whose script is about to be sent.
func (s *Store) sendAll(calls []*claimCall, generation uint64, until time.Time, fromMs int64) {
	if s.unsettled == nil {
		return
	}
	claims := make([]*event.Claim, len(calls))
	for i, c := range calls {
		c.generation, c.until = generation, until
		claims[i] = &c.claim
	}
	s.unsettled.send(generation, fromMs, nil, claims...)
}

// claimArgs are the keys and arguments of claimScript.
func (s *Store) claimArgs(space *keyspace, calls []*claimCall, generation uint64, fromMs int64) ([]string, []any) {
	keys := appendTexts(make([]string, 0, 2*len(calls)), len(calls), claimKeyBytes,
		func(b []byte, i int) []byte { return space.appendClaim(b, calls[i].claim.ID) })
	bodies := appendTexts(nil, len(calls), claimBodyBytes,
		func(b []byte, i int) []byte { return appendClaimBody(b, calls[i].claim, nil) })
	args := make([]any, 0, 6+2*len(calls)) // usually there is one kind
	args = append(args, s.cfg.Lease.Milliseconds(), s.cfg.TTL.Milliseconds(), len(calls), fromMs, generation)
	var markers []string
	var place [bucketCount]int // of a bucket's marker among markers, from 1
	var kinds claimKinds
	for i, c := range calls {
		bucket := bucketOf(c.claim.ID)
		if place[bucket] == 0 {
			markers = append(markers, space.marker(bucket))
			place[bucket] = len(markers)
		}
		args = append(args, &bodies[i], place[bucket]+kindStride*kinds.place(&c.claim)) // a pointer to a string costs no allocation
	}
	args = kinds.appendTo(args)
	return append(keys, markers...), args
}

// earliest is when, by this gateway's clock, the first of the calls began: none of
// their records can have an earlier timestamp. One time for the whole batch makes a
// recovery read hardly longer, because no call waits longer than maxClaimWait.
func earliest(calls []*claimCall) time.Time {
	first := calls[0].claim.Begun
	for _, c := range calls[1:] {
		if c.claim.Begun.Before(first) {
			first = c.claim.Begun
		}
	}
	return first
}

// answerClaims answers the calls of one script.
func (s *Store) answerClaims(calls []*claimCall, cmd *goredis.Cmd) {
	texts, err := cmd.StringSlice()
	if err == nil && len(texts) != len(calls)+1 {
		err = fmt.Errorf("claim script answered %d of %d claims", len(texts), len(calls))
	}
	for i, c := range calls {
		if err != nil {
			c.answer("", fmt.Errorf("claim: %w", err))
			continue
		}
		order, held := gainedOrder(texts[i])
		if !held {
			s.unsettled.end(c.claim.Token)
			c.answer(texts[i], nil)
			continue
		}
		if order == "" {
			order = texts[len(calls)]
		}
		c.answer(texts[i], s.gained(&c.claim, c.generation, order, s.release))
	}
}

// gainedOrder reports whether a script's answer gives the claim, and its order unless that
// is the one of the whole batch.
func gainedOrder(text string) (order string, gained bool) { return strings.CutPrefix(text, "W") }

// parseResult reads a script's answer for one claim: "W…" or "R<now> <record>".
func parseResult(text string, f event.Fingerprint, transactional bool) (event.ClaimResult, error) {
	if strings.HasPrefix(text, "W") {
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
	case f != (event.Fingerprint{}) && !rec.isOf(f):
		return event.ClaimResult{State: event.Reused}, nil
	case rec.state == stateSettled:
		return event.ClaimResult{State: event.Settled, Kept: &rec.kept}, nil
	case left <= 0, transactional && rec.state == stateUnknown:
		return event.ClaimResult{State: event.Abandoned, Abandoned: rec.abandoned(found, failpoint.Now().Add(left))}, nil
	case rec.state == stateUnknown:
		return event.ClaimResult{State: event.LeftUnknown, LeaseLeft: left}, nil
	default:
		return event.ClaimResult{State: event.InProgress, LeaseLeft: left}, nil
	}
}

// abandoned is the record as a take-over needs it.
func (rec stored) abandoned(text string, leaseEnded time.Time) event.AbandonedClaim {
	return event.AbandonedClaim{
		Text: text, Token: rec.token, Fingerprint: decodeFingerprint(rec.fingerprint),
		Owner: rec.owner, Topic: rec.topic, Partitions: rec.partitions,
		From: time.UnixMilli(rec.fromMs), LeaseEnded: leaseEnded,
	}
}
