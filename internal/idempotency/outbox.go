package idempotency

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

// What a relay of an outbox needs beside claims: to know that none were lost, and to make
// those of rows that were deleted expire soon.
//
// Each bucket has a key gw:<installation>{<bucket>}:o:<outbox> with the name of an epoch, and
// the generation of the claims (docs/adr/0021) in which the epoch began. It has no expiry, so
// it is gone if Redis was emptied. Whatever else may lose claims, be it one second of them,
// makes the markers wrong, and the rebuild that follows raises the generation: how much of the
// log it reads, and what it gives back to other events, does not matter here. What makes
// Redis another one without a loss leaves the generation as it is. A claim that was held while
// the key was right was asked of a Redis that has lost no claim since the epoch began.
//
// Where nobody counts generations the replication id takes their place.

// epochKey is the key of a bucket for an outbox.
func (k *keyspace) epochKey(bucket byte, outbox string) string {
	sum := sha256.Sum256([]byte(outbox))
	return k.buckets[bucket] + ":o:" + base64.RawURLEncoding.EncodeToString(sum[:6])
}

// luaEpoch begins scripts with KEYS = epoch keys, then the markers of their buckets; ARGV =
// epoch, generation. counts tells whether the claims in the bucket of a marker are those of
// the generation: all, or, while it is rebuilt, those of event types that are back.
const luaEpoch = luaReplid + luaLock + luaReturned + `
local n, generation, found = #KEYS / 2, ARGV[2], values(1)
local right = generation .. ' ' .. replid .. ' '
local function counts(i)
  local marker = found[n + i]
  return marker and string.sub(marker, 1, #right) == right or restoring(KEYS[n + i], generation)
end
local epoch = ARGV[1] .. ' ' .. generation
if generation == '0' then epoch = epoch .. ' ' .. replid end
`

// beginEpochScript answers how many keys it has set: those of buckets whose claims count.
var beginEpochScript = newNodeScript(luaEpoch + `
local done = 0
for i = 1, n do
  if counts(i) then
    redis.call('SET', KEYS[i], epoch)
    done = done + 1
  end
end
return {done, 0}
`)

// holdsEpochScript answers how many keys are right, and how many are wrong. The others are of
// buckets whose claims do not count now.
var holdsEpochScript = newNodeScript(luaEpoch + `
local good, wrong = 0, 0
for i = 1, n do
  if found[i] ~= epoch then
    wrong = wrong + 1
  elseif counts(i) then
    good = good + 1
  end
end
return {good, wrong}
`)

// expireScript: KEYS = records; ARGV = ms. It makes records expire then, if they would live
// longer.
var expireScript = newNodeScript(`
for i = 1, #KEYS do redis.call('PEXPIRE', KEYS[i], ARGV[1], 'LT') end
return #KEYS
`)

// BeginEpoch names the present state of Redis, for an outbox. It fails while a bucket waits
// for its rebuild.
func (s *Store) BeginEpoch(ctx context.Context, outbox, epoch string) error {
	done, _, err := s.onEpochKeys(ctx, beginEpochScript, allBuckets(), outbox, epoch)
	if err == nil && done != bucketCount {
		err = fmt.Errorf("in %d of %d buckets claims may be lost, and their rebuild has not begun", bucketCount-done, bucketCount)
	}
	if err != nil {
		return fmt.Errorf("begin epoch of outbox: %w", err)
	}
	return nil
}

// HoldsEpoch tells whether Redis has lost no claims since the epoch began: in the buckets of
// claims like these, or, for none, in all. It fails where that is not known now.
func (s *Store) HoldsEpoch(ctx context.Context, outbox, epoch string, like []event.ClaimID) (bool, error) {
	buckets := allBuckets()
	if len(like) > 0 {
		buckets = buckets[:0]
		var seen [bucketCount]bool
		for _, id := range like {
			if b := bucketOf(id); !seen[b] {
				seen[b] = true
				buckets = append(buckets, b)
			}
		}
	}
	right, wrong, err := s.onEpochKeys(ctx, holdsEpochScript, buckets, outbox, epoch)
	switch {
	case wrong > 0:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("check epoch of outbox: %w", err)
	case right != len(buckets):
		return false, fmt.Errorf("check epoch of outbox: in %d of %d buckets claims may be lost", len(buckets)-right, len(buckets))
	}
	return true, nil
}

// onEpochKeys adds up what a script answers for the buckets.
func (s *Store) onEpochKeys(ctx context.Context, script nodeScript, buckets []byte, outbox, epoch string) (right, wrong int, err error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	space, err := s.scripts.keys.get()
	if err != nil {
		return 0, 0, err
	}
	generation, _, err := s.member.current(failpoint.Now())
	if err != nil {
		return 0, 0, err
	}
	var failed error
	err = runNodes(ctx, s.scripts, script, buckets, func(b byte) byte { return b },
		func(group []byte) ([]string, []any) {
			keys := make([]string, 2*len(group))
			for i, b := range group {
				keys[i], keys[len(group)+i] = space.epochKey(b, outbox), space.marker(b)
			}
			return keys, []any{epoch, generation}
		},
		func(group []byte, cmd *goredis.Cmd) {
			n, err := cmd.Int64Slice()
			if err == nil && len(n) != 2 {
				err = fmt.Errorf("epoch script answered %d numbers", len(n))
			}
			if err != nil {
				failed = err
				return
			}
			right, wrong = right+int(n[0]), wrong+int(n[1])
		})
	if err == nil {
		err = failed
	}
	return right, wrong, err
}

// ExpireClaims makes claims expire after a time, if they would live longer: settled or not.
func (s *Store) ExpireClaims(ctx context.Context, ids []event.ClaimID, after time.Duration) error {
	space, err := s.scripts.keys.get()
	if err != nil {
		return err
	}
	for part := range slices.Chunk(ids, maxBatch) {
		limited, cancel := context.WithTimeout(ctx, batchTimeout)
		err := runNodes(limited, s.scripts, expireScript, part, bucketOf,
			func(group []event.ClaimID) ([]string, []any) {
				keys := appendTexts(make([]string, 0, len(group)), len(group), claimKeyBytes,
					func(b []byte, i int) []byte { return space.appendClaim(b, group[i]) })
				return keys, []any{after.Milliseconds()}
			},
			func([]event.ClaimID, *goredis.Cmd) {})
		cancel()
		if err != nil {
			return fmt.Errorf("expire claims of outbox: %w", err)
		}
	}
	return nil
}
