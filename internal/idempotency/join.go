package idempotency

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/failpoint"
)

// joinScript: KEYS = locks, then records; ARGV = generation, process id, ttl ms, number of
// locks, then per record the position of its lock among them, from 1, its state, what is
// left of its lease in ms, from, body, and the generation and time of its order. It joins
// the rebuilds whose locks name this generation, or an earlier one, and this Redis: "J", "A"
// (it had joined), or "-". In their buckets it writes the records: not over a settled one,
// nor over a later claim.
var joinScript = goredis.NewScript(luaReplid + luaNow + luaSettled + `
local generation, id, ttl, n = ARGV[1], ARGV[2] .. ',', ARGV[3], tonumber(ARGV[4])
local out = {}
for i = 1, n do
  local lock = redis.call('GET', KEYS[i])
  local server, its, joined = string.match(lock or '', '^%S+ (%S+) (%d+) (.*)$')
  if server ~= replid or tonumber(its) > tonumber(generation) then
    out[i] = '-'
  elseif string.find(joined, ',' .. id, 1, true) then
    out[i] = 'A'
  else
    out[i] = 'J'
    redis.call('SET', KEYS[i], lock .. id, 'KEEPTTL')
  end
end
for i = n + 1, #KEYS do
  local at = 7 * (i - n) - 2
  if out[tonumber(ARGV[at])] == 'J' then
    local rec = redis.call('GET', KEYS[i])
    local g, time = string.match(rec or '', ' @(%d+)%.(%d+)$')
    g, time = tonumber(g or 0), tonumber(time or 0)
    local mine_g, mine_time = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
    if rec and (settled(rec) or g > mine_g or g == mine_g and time > mine_time) then
      -- stays
    else
      redis.call('SET', KEYS[i], ARGV[at + 1] .. ' ' .. string.format('%d', now + tonumber(ARGV[at + 2])) .. ' ' .. ARGV[at + 3] .. ' ' ..
        ARGV[at + 4] .. ' @' .. ARGV[at + 5] .. '.' .. ARGV[at + 6], 'PX', ttl)
    end
  end
end
return out
`)

// joinableScript: KEYS = locks; ARGV = generation, process id. What joinScript would answer.
var joinableScript = goredis.NewScript(luaReplid + `
local out = {}
for i = 1, #KEYS do
  local server, its, joined = string.match(redis.call('GET', KEYS[i]) or '', '^%S+ (%S+) (%d+) (.*)$')
  if server ~= replid or tonumber(its) > tonumber(ARGV[1]) then
    out[i] = '-'
  else
    out[i] = string.find(joined, ',' .. ARGV[2] .. ',', 1, true) and 'A' or 'J'
  end
end
return out
`)

// What joinScript answers beside bucketState's letters.
const (
	bucketJoined bucketState = "J"
	bucketJoins  bucketState = "A"
)

const (
	// joinBatch bounds the claims of one script on a single server.
	joinBatch = 500
	// joinPause is between two looks for a lock to join, after a generation was raised;
	// joinSlow when none was found for joinSoon.
	joinPause, joinSlow = 50 * time.Millisecond, time.Second
	joinSoon            = 5 * time.Second
	// leaseGrace is added to what is left of a lease when its claim is written again.
	leaseGrace = time.Second
)

// joiner lets this process join the generations that others raise.
type joiner struct {
	*Rebuilder
}

// run joins until ctx ends.
func (j joiner) run(ctx context.Context) {
	if !j.member.measured() {
		return
	}
	last := j.member.number()
	pending, since := last, time.Now() // a generation to join, perhaps
	var swept time.Time
	for ctx.Err() == nil {
		pause := joinSlow
		if pending != 0 && time.Since(since) < joinSoon {
			pause = joinPause
		}
		wait, cancel := context.WithTimeout(ctx, pause)
		select {
		case <-wait.Done():
		case <-j.cfg.Generations.Changed():
		}
		cancel()
		if time.Since(swept) >= joinSlow { // here: the guard may be at a rebuild for hours
			swept = time.Now()
			j.unsettled.sweep(failpoint.Now())
		}
		if number := j.member.number(); number != last {
			last, pending, since = number, number, time.Now()
			j.checkSoon()
		}
		if pending != 0 && j.join(ctx, pending) {
			pending = 0
		}
	}
}

// join joins the rebuild of every bucket that waits for it. It reports whether none is
// left: each was joined, or is ready.
func (r *Rebuilder) join(ctx context.Context, generation uint64) (all bool) {
	var left, buckets []byte
	err := r.scripts.runOnBuckets(ctx, bucketScript{checkScript, markerOnly, []any{generation}}, allBuckets(), func(b byte, s bucketState) {
		if s != bucketReady && s != bucketNewer {
			left = append(left, b)
		}
	})
	if err != nil {
		return false
	}
	// Looked for first: to join makes the replies worthless that are under way.
	waiting := len(left)
	err = r.scripts.runOnBuckets(ctx, bucketScript{joinableScript, lockOnly, []any{generation, r.cfg.Generations.Self()}}, left, func(b byte, s bucketState) {
		switch s {
		case bucketJoined:
			buckets = append(buckets, b)
			waiting--
		case bucketJoins:
			waiting--
		}
	})
	if err != nil || len(buckets) == 0 {
		return err == nil && waiting == 0
	}
	claims, complete := r.unsettled.assert(generation)
	if !complete {
		r.logger.Debug("too many unsettled claims to join a generation")
		return false
	}
	all, err = r.joinBuckets(ctx, generation, buckets, &claims)
	if err != nil {
		r.metrics.failed("rebuild")
		r.logger.Debug("joining a generation failed", "error", err)
	}
	return all && err == nil && waiting == 0
}

// joinGroups divides buckets into those of one script each.
func (r *Rebuilder) joinGroups(buckets []byte, claims *[bucketCount][]unsettledClaim) (groups [][]byte) {
	size := joinBatch + 1
	for _, b := range buckets {
		if r.scripts.cluster || size+len(claims[b]) > joinBatch {
			groups, size = append(groups, nil), 0
		}
		last := len(groups) - 1
		groups[last] = append(groups[last], b)
		size += len(claims[b])
	}
	return groups
}

func (r *Rebuilder) joinBuckets(ctx context.Context, generation uint64, buckets []byte, claims *[bucketCount][]unsettledClaim) (all bool, err error) {
	space, err := r.scripts.keys.get()
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	groups := r.joinGroups(buckets, claims)
	all = true
	err = r.scripts.run(ctx, len(groups), joinScript,
		func(i int) ([]string, []any) { return r.joinArgs(space, generation, groups[i], claims) },
		func(i int, cmd *goredis.Cmd) {
			states, err := cmd.StringSlice()
			all = all && err == nil && len(states) == len(groups[i])
			for _, s := range states {
				all = all && (bucketState(s) == bucketJoined || bucketState(s) == bucketJoins)
			}
		})
	if err != nil {
		return false, fmt.Errorf("join a generation: %w", err)
	}
	return all, nil
}

// joinArgs are the keys and arguments of joinScript.
func (r *Rebuilder) joinArgs(space *keyspace, generation uint64, buckets []byte, claims *[bucketCount][]unsettledClaim) ([]string, []any) {
	keys := make([]string, 0, len(buckets))
	args := []any{generation, r.cfg.Generations.Self(), r.cfg.TTL.Milliseconds(), len(buckets)}
	for _, b := range buckets {
		keys = append(keys, space.lock(b))
	}
	for i, b := range buckets {
		for _, c := range claims[b] {
			keys = append(keys, space.claim(c.claim.ID))
			args = append(append(args, i+1), c.assertion(r.cfg.Lease)...)
		}
	}
	return keys, args
}

// assertion is the claim as joinScript writes it.
func (c *unsettledClaim) assertion(lease time.Duration) []any {
	state := stateClaimed
	if c.state == unsettledUnknown {
		state = stateUnknown
	}
	left := max(lease-failpoint.Now().Sub(c.claim.Begun)+leaseGrace, 0)
	generation, at, _ := strings.Cut(strings.TrimPrefix(c.order, "@"), ".")
	return []any{
		state, left.Milliseconds(), strconv.FormatInt(c.fromMs, 10), string(appendClaimBody(nil, c.claim, c.earlier)), generation, at,
	}
}
