package idempotency

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/failpoint"
)

const (
	// batchTimeout bounds one script, retries of the client library included.
	batchTimeout = 1500 * time.Millisecond
	// maxWait bounds how long a claim waits for its turn. With batchTimeout it
	// bounds a claim, so that callers need no timer each.
	maxWait = time.Second
)

var errPanicked = errors.New("claiming failed in the gateway itself")

var errWaited = errors.New("redis is too slow for the claims that wait")

// claimBatch claims for all callers of a batch in one round trip.
func (s *Store) claimBatch(calls []*claimCall) {
	defer func() {
		if p := recover(); p != nil { // nobody of the batch may wait for ever
			s.logger.Error("claiming panicked", "panic", p, "stack", string(debug.Stack()))
			for _, c := range calls {
				c.answer("", errPanicked)
			}
		}
	}()
	live := calls[:0]
	now := failpoint.Now() // as Begun was read
	for _, c := range calls {
		switch {
		case c.ctx.Err() != nil:
			c.answer("", c.ctx.Err())
		case now.Sub(c.claim.Begun) > maxWait && !c.claim.Begun.IsZero():
			c.answer("", errWaited)
		default:
			live = append(live, c)
		}
	}
	if len(live) == 0 {
		return
	}
	s.metrics.claimBatch.Observe(float64(len(live)))
	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	groups := [][]*claimCall{live}
	if s.cluster {
		groups = byBucket(live, func(c *claimCall) byte { return bucketOf(c.claim.ID) })
	}
	err := s.runGroups(ctx, len(groups), claimScript, func(i int) ([]string, []any) { return s.claimArgs(groups[i]) },
		func(i int, cmd *goredis.Cmd) { answerClaims(groups[i], cmd) })
	if err != nil {
		s.logger.Warn("claiming failed", "error", err, "claims", len(live))
	}
}

// claimArgs are the keys and arguments of claimScript.
func (s *Store) claimArgs(calls []*claimCall) ([]string, []any) {
	keys := appendTexts(make([]string, 0, 2*len(calls)), len(calls), recordKeyBytes,
		func(b []byte, i int) []byte { return appendRecordKey(b, calls[i].claim.ID) })
	bodies := appendTexts(nil, len(calls), claimBodyBytes,
		func(b []byte, i int) []byte { return appendClaimBody(b, calls[i].claim, nil) })
	args := make([]any, 0, 4+2*len(calls))
	args = append(args, s.cfg.Lease.Milliseconds(), s.cfg.TTL.Milliseconds(), len(calls), from(calls))
	var markers []string
	var place [bucketCount]int // of a bucket's marker among markers, from 1
	for i, c := range calls {
		bucket := bucketOf(c.claim.ID)
		if place[bucket] == 0 {
			markers = append(markers, markerKey(bucket))
			place[bucket] = len(markers)
		}
		args = append(args, &bodies[i], place[bucket]) // a pointer needs no memory of its own
	}
	return append(keys, markers...), args
}

// from is a time, in ms by this gateway's clock, before which no record of the
// calls can be stamped: the first of them was asked for then. One for all of
// them costs a recovery read next to nothing, as nobody waits longer than maxWait.
func from(calls []*claimCall) int64 {
	first := calls[0].claim.Begun
	for _, c := range calls[1:] {
		if c.claim.Begun.Before(first) {
			first = c.claim.Begun
		}
	}
	return first.UnixMilli()
}

func answerClaims(calls []*claimCall, cmd *goredis.Cmd) {
	texts, err := cmd.StringSlice()
	if err == nil && len(texts) != len(calls) {
		err = fmt.Errorf("claim script answered %d of %d claims", len(texts), len(calls))
	}
	for i, c := range calls {
		if err != nil {
			c.answer("", fmt.Errorf("claim: %w", err))
			continue
		}
		c.answer(texts[i], nil)
	}
}

// runGroups runs a script once per group: directly for one group, in one
// pipeline for several (a Redis Cluster, where a script must stay within a
// slot). It answers every group and returns the first error.
func (s *Store) runGroups(ctx context.Context, n int, script *goredis.Script,
	args func(int) ([]string, []any), answer func(int, *goredis.Cmd),
) error {
	if n == 1 {
		keys, argv := args(0)
		cmd := script.Run(ctx, s.rdb, keys, argv...)
		answer(0, cmd)
		return cmd.Err()
	}
	run := func() []*goredis.Cmd {
		cmds := make([]*goredis.Cmd, n)
		pipe := s.rdb.Pipeline()
		for i := range n {
			keys, argv := args(i)
			cmds[i] = script.EvalSha(ctx, pipe, keys, argv...)
		}
		_, _ = pipe.Exec(ctx) // each command carries its own error
		return cmds
	}
	cmds := run()
	for _, cmd := range cmds {
		if goredis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			if err := script.Load(ctx, s.rdb).Err(); err != nil {
				break
			}
			cmds = run() // a claim that went through before knows its own token
			break
		}
	}
	var first error
	for i, cmd := range cmds {
		answer(i, cmd)
		if first == nil {
			first = cmd.Err()
		}
	}
	return first
}

// byBucket splits calls into groups whose keys share a hash slot.
func byBucket[T any](calls []T, bucket func(T) byte) [][]T {
	var groups [][]T
	index := make(map[byte]int, len(calls))
	for _, c := range calls {
		b := bucket(c)
		i, ok := index[b]
		if !ok {
			i = len(groups)
			index[b] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}
