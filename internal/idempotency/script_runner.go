package idempotency

import (
	"context"
	"fmt"
	"slices"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/redis"
)

// scriptRunner runs Lua scripts: one for many keys on a single server, one per bucket
// on a Redis Cluster, where a script must stay within a hash slot.
type scriptRunner struct {
	rdb     redis.Client
	cluster bool
	nodes   *nodes // of a Cluster; nil: every script stays within a slot
	keys    keys
}

func newScriptRunner(rdb redis.Client, installation func() string) *scriptRunner {
	r := &scriptRunner{rdb: rdb, keys: keys{installation: installation}}
	if cluster, ok := rdb.(*goredis.ClusterClient); ok {
		r.cluster, r.nodes = true, &nodes{cluster: cluster}
	}
	return r
}

// run runs a script once per group: directly for one group, in one pipeline for
// several. It answers every group and returns the first error.
func (r *scriptRunner) run(ctx context.Context, groups int, script *goredis.Script,
	args func(int) ([]string, []any), answer func(int, *goredis.Cmd),
) error {
	if groups == 1 {
		keys, argv := args(0)
		cmd := script.Run(ctx, r.rdb, keys, argv...)
		answer(0, cmd)
		return cmd.Err()
	}
	run := func() []*goredis.Cmd {
		cmds := make([]*goredis.Cmd, groups)
		pipe := r.rdb.Pipeline()
		for i := range groups {
			keys, argv := args(i)
			cmds[i] = script.EvalSha(ctx, pipe, keys, argv...)
		}
		_, _ = pipe.Exec(ctx) // each command carries its own error
		return cmds
	}
	cmds := run()
	for _, cmd := range cmds {
		if goredis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			if err := script.Load(ctx, r.rdb).Err(); err != nil {
				break
			}
			cmds = run() // a claim that succeeded the first time recognises its own token
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

// bucketState is what a script answers for one bucket.
type bucketState string

const (
	bucketReady   bucketState = "=" // its marker is right
	bucketHeld    bucketState = "L" // its lock is ours, or the script did what was asked
	bucketBusy    bucketState = "B" // another gateway holds its lock
	bucketLeft    bucketState = "A" // nobody holds its lock, but a rebuild may go on where it was
	bucketLost    bucketState = "X" // the lock is not ours, or was taken in another Redis
	bucketMissing bucketState = "-" // it has no marker
	bucketForeign bucketState = "!" // its marker names another Redis, or an older generation
	bucketNewer   bucketState = ">" // its marker names a newer generation than this gateway knows
)

// allBuckets lists every bucket.
func allBuckets() []byte {
	all := make([]byte, bucketCount)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}

// bucketScript is a script that answers with a state for each of its buckets.
type bucketScript struct {
	script *goredis.Script
	keys   func(k *keyspace, bucket byte) []string
	args   []any
}

// runOnBuckets runs the script once, or on a Cluster once for each bucket, and passes
// each state that it got to report. The error is the first of a node that did not
// answer.
func (r *scriptRunner) runOnBuckets(ctx context.Context, s bucketScript, buckets []byte, report func(byte, bucketState)) error {
	return r.askBuckets(ctx, s, buckets, func(b byte, text string) {
		if text != "" {
			report(b, bucketState(text[:1]))
		}
	})
}

// askBuckets is runOnBuckets for scripts that answer with more than a state.
func (r *scriptRunner) askBuckets(ctx context.Context, s bucketScript, buckets []byte, report func(b byte, text string)) error {
	if len(buckets) == 0 {
		return nil
	}
	space, err := r.keys.get()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	size := len(buckets)
	if r.cluster {
		size = 1
	}
	groups := slices.Collect(slices.Chunk(buckets, size))
	err = r.run(ctx, len(groups), s.script, func(i int) ([]string, []any) {
		var keys []string
		for _, b := range groups[i] {
			keys = append(keys, s.keys(space, b)...)
		}
		return keys, s.args
	}, func(i int, cmd *goredis.Cmd) {
		texts, err := cmd.StringSlice()
		if err != nil || len(texts) != len(groups[i]) {
			return
		}
		for n, b := range groups[i] {
			report(b, texts[n])
		}
	})
	if err != nil {
		return fmt.Errorf("ask redis about buckets: %w", err)
	}
	return nil
}

func markerOnly(k *keyspace, bucket byte) []string { return []string{k.marker(bucket)} }

func allOfBucket(k *keyspace, bucket byte) []string {
	return []string{k.marker(bucket), k.lock(bucket), k.beat(bucket)}
}

func lockOnly(k *keyspace, bucket byte) []string { return []string{k.lock(bucket)} }

func markerAndLock(k *keyspace, bucket byte) []string {
	return []string{k.marker(bucket), k.lock(bucket)}
}
