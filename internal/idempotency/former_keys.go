package idempotency

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Old gateways, those before docs/adr/0022, keep claims under keys without an
// installation. Beside one of them that takes events, a newer gateway would write their
// retries again, and the other way round. So newer gateways keep them out, in a way that
// old ones understand: the old marker of each bucket names no Redis, and its old lock
// has another owner. An old gateway then refuses keyed events, as while another
// gateway rebuilds (docs/operations.md, Upgrading).
//
// Old gateways that have worked since, after a rollback for example, have set the old
// marker: then what newer ones remember is incomplete, and their markers are deleted. To
// notice that even if several installations share a Redis, every exclusion has an id of
// its own, and an installation remembers the one that its claims are complete under.
//
// This file may go once nobody upgrades from such a version.

const (
	// excludedFor is how long an old gateway stays out when no newer one runs any more.
	excludedFor = time.Minute
	// excludedAtLeast is what must be left of excludedFor for a claim to be asked for.
	excludedAtLeast = 20 * time.Second
)

// excludeScript: KEYS = (old marker, old lock, remembered exclusion, marker, lock)*;
// ARGV = id of a new exclusion, ms that the locks last, token of a rebuild or "". That
// rebuild goes on: it waits for records in flight only after this script.
var excludeScript = goredis.NewScript(luaReplid + `
local out = {}
for i = 1, #KEYS, 5 do
  local former = redis.call('GET', KEYS[i])
  if not former or string.sub(former, 1, 6) ~= 'moved ' then
    former = 'moved ' .. ARGV[1]
    redis.call('SET', KEYS[i], former)
  end
  redis.call('SET', KEYS[i + 1], 'moved ' .. replid, 'PX', ARGV[2])
  if redis.call('GET', KEYS[i + 2]) == former then
    out[#out + 1] = '='
  else
    redis.call('SET', KEYS[i + 2], former)
    redis.call('DEL', KEYS[i + 3])
    local lock = redis.call('GET', KEYS[i + 4])
    if not lock or string.match(lock, '^(%S+) ') ~= ARGV[3] then
      redis.call('DEL', KEYS[i + 4], string.sub(KEYS[i + 4], 1, -2) .. 'd') -- what a rebuild has restored is incomplete
    end
    out[#out + 1] = '-'
  end
end
return out
`)

func formerKeys(k *keyspace, bucket byte) []string {
	former := keyPrefix + hashTag(bucket)
	return []string{former + ":m", former + ":l", k.buckets[bucket] + ":f", k.marker(bucket), k.lock(bucket)}
}

var errPerhapsOld = errors.New("gateways of a former version may be at work")

// oldGateways keeps gateways with the former keys out.
type oldGateways struct {
	scripts *scriptRunner
	born    time.Time
	until   [bucketCount]atomic.Int64 // since born; before it, none of them takes keyed events of the bucket
}

func newOldGateways(scripts *scriptRunner) *oldGateways {
	return &oldGateways{scripts: scripts, born: time.Now()}
}

// exclude keeps them out of buckets from now on, and deletes the markers of those in which one of
// them has worked since the last time. After an error they may be in some.
func (o *oldGateways) exclude(ctx context.Context, buckets []byte, rebuild string) error {
	until := int64(time.Since(o.born) + excludedFor)
	script := bucketScript{excludeScript, formerKeys, []any{rand.Text(), excludedFor.Milliseconds(), rebuild}}
	err := o.scripts.runOnBuckets(ctx, script, buckets, func(b byte, _ bucketState) { o.until[b].Store(until) })
	if err != nil {
		return fmt.Errorf("keep gateways of a former version out: %w", err)
	}
	return nil
}

// outOf reports whether they are out of a bucket for longer than a claim takes.
func (o *oldGateways) outOf(bucket byte) bool {
	return time.Duration(o.until[bucket].Load())-time.Since(o.born) >= excludedAtLeast
}

// ensure keeps them out of a bucket in which they may be: this process paused, or Redis
// was away.
func (o *oldGateways) ensure(ctx context.Context, bucket byte) error {
	if o.outOf(bucket) {
		return nil
	}
	return o.exclude(ctx, []byte{bucket}, "")
}

// ensureAll is ensure for many buckets. It returns those of calls whose buckets they are
// out of, and passes the others to refuse.
func ensureAll[T any](ctx context.Context, o *oldGateways, calls []T, bucket func(T) byte, refuse func(T, error)) []T {
	var doubtful []byte
	for _, c := range calls {
		if b := bucket(c); !o.outOf(b) && !slices.Contains(doubtful, b) {
			doubtful = append(doubtful, b)
		}
	}
	if len(doubtful) == 0 {
		return calls
	}
	err := o.exclude(ctx, doubtful, "")
	if err == nil {
		err = errPerhapsOld // of those without an answer; usually there are none
	}
	out := make([]T, 0, len(calls))
	for _, c := range calls {
		if o.outOf(bucket(c)) {
			out = append(out, c)
		} else {
			refuse(c, err)
		}
	}
	return out
}
