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
)

// What a relay of an outbox needs beside claims: to know that none were lost, and to make
// those of rows that were deleted expire soon.
//
// Each bucket has a key gw:<installation>{<bucket>}:o:<outbox> with the name of an epoch and
// the replication id of the Redis that it was written to. It has no expiry, so it is gone
// only if Redis has lost data, and it names another Redis than the present one if a replica
// was promoted or an old state came back. A claim that was held while the key was right was
// asked of a Redis that has lost no claim since the epoch began.

// epochKey is the key of a bucket for an outbox.
func (k *keyspace) epochKey(bucket byte, outbox string) string {
	sum := sha256.Sum256([]byte(outbox))
	return k.buckets[bucket] + ":o:" + base64.RawURLEncoding.EncodeToString(sum[:6])
}

// beginEpochScript: KEYS = epoch keys; ARGV = the epoch.
var beginEpochScript = newNodeScript(luaReplid + `
for i = 1, #KEYS do redis.call('SET', KEYS[i], ARGV[1] .. ' ' .. replid) end
return #KEYS
`)

// holdsEpochScript: KEYS = epoch keys; ARGV = the epoch. It counts those that are wrong.
var holdsEpochScript = newNodeScript(luaReplid + `
local wrong, found, right = 0, values(1), ARGV[1] .. ' ' .. replid
for i = 1, #KEYS do
  if found[i] ~= right then wrong = wrong + 1 end
end
return wrong
`)

// expireScript: KEYS = records; ARGV = ms. It makes records expire then, if they would live
// longer.
var expireScript = newNodeScript(`
for i = 1, #KEYS do redis.call('PEXPIRE', KEYS[i], ARGV[1], 'LT') end
return #KEYS
`)

// BeginEpoch names the present state of Redis, for an outbox.
func (s *Store) BeginEpoch(ctx context.Context, outbox, epoch string) error {
	done := 0
	err := s.onEpochKeys(ctx, beginEpochScript, allBuckets(), outbox, epoch, func(buckets []byte, _ int) { done += len(buckets) })
	if err == nil && done != bucketCount {
		err = fmt.Errorf("only %d of %d buckets were reached", done, bucketCount)
	}
	if err != nil {
		return fmt.Errorf("begin epoch of outbox: %w", err)
	}
	return nil
}

// HoldsEpoch tells whether Redis has lost no claims since the epoch began, and is the same
// Redis: in the buckets of claims like these, or, for none, in all.
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
	right, wrong := 0, 0
	err := s.onEpochKeys(ctx, holdsEpochScript, buckets, outbox, epoch, func(group []byte, n int) { right, wrong = right+len(group)-n, wrong+n })
	switch {
	case wrong > 0:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("check epoch of outbox: %w", err)
	case right != len(buckets):
		return false, fmt.Errorf("check epoch of outbox: only %d of %d buckets were reached", right, len(buckets))
	}
	return true, nil
}

func (s *Store) onEpochKeys(ctx context.Context, script nodeScript, buckets []byte, outbox, epoch string, answer func([]byte, int)) error {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	space, err := s.scripts.keys.get()
	if err != nil {
		return err
	}
	var failed error
	err = runNodes(ctx, s.scripts, script, buckets, func(b byte) byte { return b },
		func(group []byte) ([]string, []any) {
			keys := make([]string, len(group))
			for i, b := range group {
				keys[i] = space.epochKey(b, outbox)
			}
			return keys, []any{epoch}
		},
		func(group []byte, cmd *goredis.Cmd) {
			n, err := cmd.Int()
			if err != nil {
				failed = err
				return
			}
			answer(group, n)
		})
	if err == nil {
		err = failed
	}
	return err
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
