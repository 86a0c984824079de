package idempotency

import (
	"context"
	"fmt"
	"slices"

	goredis "github.com/redis/go-redis/v9"
)

// verdict is what a script says of a bucket.
type verdict string

const (
	bucketReady   verdict = "=" // its marker is right
	bucketHeld    verdict = "L" // it is ours, or the script did what was asked
	bucketBusy    verdict = "B" // another gateway holds its lock
	bucketLost    verdict = "X" // the lock is not ours, or not of this Redis
	bucketMissing verdict = "-" // it has no marker
	bucketForeign verdict = "!" // its marker names another Redis
)

// everyBucket lists all of them.
func everyBucket() []byte {
	all := make([]byte, bucketCount)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}

// question is a script that has a verdict on each of its buckets.
type question struct {
	script *goredis.Script
	keys   func(bucket byte) []string
	args   []any
}

// askBuckets asks once, or, on a Cluster, once for each bucket, and tells the
// verdicts that it got. The error is the first of a node that gave none.
func (s *Store) askBuckets(ctx context.Context, q question, buckets []byte, tell func(byte, verdict)) error {
	if len(buckets) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	size := len(buckets)
	if s.cluster {
		size = 1
	}
	groups := slices.Collect(slices.Chunk(buckets, size))
	err := s.runGroups(ctx, len(groups), q.script, func(i int) ([]string, []any) {
		var keys []string
		for _, b := range groups[i] {
			keys = append(keys, q.keys(b)...)
		}
		return keys, q.args
	}, func(i int, cmd *goredis.Cmd) {
		texts, err := cmd.StringSlice()
		if err != nil || len(texts) != len(groups[i]) {
			return
		}
		for n, b := range groups[i] {
			tell(b, verdict(texts[n]))
		}
	})
	if err != nil {
		return fmt.Errorf("ask redis about buckets: %w", err)
	}
	return nil
}

func markerOnly(bucket byte) []string { return []string{markerKey(bucket)} }

func lockOnly(bucket byte) []string { return []string{lockKey(bucket)} }

func markerAndLock(bucket byte) []string { return []string{markerKey(bucket), lockKey(bucket)} }
