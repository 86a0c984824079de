package idempotency

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/backoff"
	"eventgateway/internal/failpoint"
)

// beatScript: KEYS = beat, its lock, markers; ARGV = generation, process id, ms that the
// lock lasts, number, gateway's clock in ms. It writes the beat if all markers are right:
// "L<stream>". Else "B" (another gateway does), "!" (a marker is wrong) or "N<number>" (there
// is a beat of this number).
var beatScript = goredis.NewScript(luaServer + luaNow + `
local right = ARGV[1] .. ' ' .. replid .. ' '
local markers = redis.call('MGET', unpack(KEYS, 3))
for i = 1, #markers do
  if not markers[i] or string.sub(markers[i], 1, #right) ~= right then return '!' end
end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[2] then return 'B' end
local number, its = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) .* (%S+)$')
if its == stream and tonumber(number) >= tonumber(ARGV[4]) then return 'N' .. number end
redis.call('SET', KEYS[1], ARGV[4] .. ' ' .. ARGV[5] .. ' ' .. string.format('%d', now) .. ' ' .. replid .. ' ' .. stream)
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 'L' .. stream
`)

// beatLockFor is how long a gateway that writes beats keeps others from it.
const beatLockFor = 3 * time.Second

// beats are the newest beats of a generation that this process wrote and Redis acknowledged,
// by stream. When Redis was lost, beats begin at 1 again, in the next generation.
type beats struct {
	mu         sync.Mutex
	generation uint64
	newest     map[string]uint64
}

func newBeats() *beats { return &beats{newest: map[string]uint64{}} }

func (b *beats) note(generation uint64, stream string, number uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if generation > b.generation {
		b.generation = generation
		clear(b.newest)
	}
	if generation == b.generation {
		b.newest[stream] = max(b.newest[stream], number)
	}
}

// lacks reports whether the beat is older than one of the generation that was acknowledged.
func (b *beats) lacks(generation uint64, found beat) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return generation == b.generation && found.number < b.newest[found.stream]
}

// writeBeats writes beats, one for each server, until ctx ends. Several gateways do, and
// the lock lets one of them.
func (r *Rebuilder) writeBeats(ctx context.Context) {
	if !r.member.measured() {
		return
	}
	numbers := map[byte]uint64{} // of the last beat that was written in the bucket, as far as is known
	for backoff.Sleep(ctx, r.intervals.beat) {
		if number := r.member.number(); number > 0 {
			r.beatOnce(ctx, number, numbers)
		}
	}
}

func (r *Rebuilder) beatOnce(ctx context.Context, generation uint64, numbers map[byte]uint64) {
	clock := failpoint.Now() // before anything is looked at
	groups := [][]byte{allBuckets()}
	if r.scripts.nodes != nil {
		var err error
		if groups, err = byNode(ctx, r.scripts.nodes.cluster, allBuckets(), func(b byte) byte { return b }); err != nil {
			return
		}
	}
	var wrong [bucketCount]bool
	if r.scripts.cluster { // a script sees one bucket only
		for b := range wrong {
			wrong[b] = true
		}
		_ = r.scripts.runOnBuckets(ctx, bucketScript{checkScript, markerOnly, []any{generation}}, allBuckets(),
			func(b byte, s bucketState) { wrong[b] = s != bucketReady })
	}
	for _, group := range groups {
		if !anyOf(group, &wrong) {
			r.writeBeat(ctx, generation, group, clock, numbers)
		}
	}
}

func anyOf(buckets []byte, set *[bucketCount]bool) bool {
	for _, b := range buckets {
		if set[b] {
			return true
		}
	}
	return false
}

// writeBeat writes the beat of a server that has these buckets.
func (r *Rebuilder) writeBeat(ctx context.Context, generation uint64, buckets []byte, clock time.Time, numbers map[byte]uint64) {
	space, err := r.scripts.keys.get()
	if err != nil {
		return
	}
	at := buckets[0]
	keys := []string{space.beat(at), space.beatLock(at), space.marker(at)}
	if !r.scripts.cluster {
		for _, b := range buckets[1:] {
			keys = append(keys, space.marker(b))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	for range 2 {
		numbers[at]++
		answer, err := beatScript.Run(ctx, r.scripts.rdb, keys, generation, r.cfg.Generations.Self(), beatLockFor.Milliseconds(), numbers[at], clock.UnixMilli()).Text()
		if err != nil || answer == "" {
			return // an outage is named once, by availability
		}
		rest := answer[1:]
		switch answer[0] {
		case 'L':
			r.beats.note(generation, rest, numbers[at])
			return
		case 'N':
			numbers[at], _ = strconv.ParseUint(strings.TrimSpace(rest), 10, 64)
		default:
			return
		}
	}
}
