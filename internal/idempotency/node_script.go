package idempotency

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// nodeScript is a script for keys of one slot, and, on a Redis Cluster, the same for keys
// of one node: a batch of claims has keys in a hundred slots. Redis lets a script touch
// keys of other slots, as long as its node has them and it does not declare them. If a
// slot has moved, or the service forbids that, the script fails in the middle, and the
// batch is sent again, a script for each bucket. So such a script must do no harm when it
// runs twice.
type nodeScript struct{ slot, node *goredis.Script }

// newNodeScript makes both from a text that reads values with values(first), from KEYS[first]
// to the last, and nothing else of more than one slot at once.
func newNodeScript(text string) nodeScript {
	return nodeScript{
		slot: goredis.NewScript(`
local function values(first) return redis.call('MGET', unpack(KEYS, first)) end
` + text),
		node: goredis.NewScript(`
local keys, args, n = {}, {}, tonumber(ARGV[1])
for i = 1, n do keys[i] = ARGV[i + 1] end
for i = n + 2, #ARGV do args[#args + 1] = ARGV[i] end
local KEYS, ARGV = keys, args
local function values(first)
  local out = {}
  for i = first, #KEYS do out[#out + 1] = redis.call('GET', KEYS[i]) end
  return out
end
` + text),
	}
}

// perSlotFor is how long scripts stay within slots after one for a node failed.
const perSlotFor = 10 * time.Second

// nodes tells which node of a Cluster has a bucket.
type nodes struct {
	cluster *goredis.ClusterClient
	perSlot atomic.Int64 // Unix nanoseconds until which scripts stay within slots
}

// usable reports whether a script may be for a node.
func (n *nodes) usable() bool {
	return n != nil && time.Now().UnixNano() >= n.perSlot.Load()
}

// runNodes runs a script for all calls: once on a single server, once for each node of a
// Cluster, else once for each bucket. It answers every group and returns the first error.
func runNodes[T any](ctx context.Context, r *scriptRunner, script nodeScript, calls []T, bucket func(T) byte,
	args func([]T) ([]string, []any), answer func([]T, *goredis.Cmd),
) error {
	if !r.cluster {
		return r.run(ctx, 1, script.slot, func(int) ([]string, []any) { return args(calls) },
			func(_ int, cmd *goredis.Cmd) { answer(calls, cmd) })
	}
	if r.nodes.usable() {
		groups, err := byNode(ctx, r.nodes.cluster, calls, bucket)
		if err == nil {
			calls = nil
			first := r.run(ctx, len(groups), script.node, func(i int) ([]string, []any) { return undeclared(args(groups[i])) },
				func(i int, cmd *goredis.Cmd) {
					if crossesSlots(cmd.Err()) {
						calls = append(calls, groups[i]...)
					} else {
						answer(groups[i], cmd)
					}
				})
			if len(calls) == 0 {
				return first
			}
			r.nodes.perSlot.Store(time.Now().Add(perSlotFor).UnixNano())
		}
	}
	groups := byBucket(calls, bucket)
	return r.run(ctx, len(groups), script.slot, func(i int) ([]string, []any) { return args(groups[i]) },
		func(i int, cmd *goredis.Cmd) { answer(groups[i], cmd) })
}

// undeclared moves all keys but the first, by which the Cluster finds the node, to the
// arguments.
func undeclared(keys []string, args []any) ([]string, []any) {
	all := make([]any, 0, 1+len(keys)+len(args))
	all = append(all, len(keys))
	for i := range keys {
		all = append(all, &keys[i])
	}
	return keys[:1], append(all, args...)
}

// crossesSlots reports whether a script failed because it touched a key of a slot that
// its node does not have, or of a second slot.
func crossesSlots(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	return strings.Contains(text, "non local key") || strings.Contains(text, "same slot") || strings.Contains(text, "CROSSSLOT")
}

// byNode splits calls into groups whose keys are on one node.
func byNode[T any](ctx context.Context, cluster *goredis.ClusterClient, calls []T, bucket func(T) byte) ([][]T, error) {
	var groups [][]T
	var of [bucketCount]int // position of the bucket's group, from 1
	index := make(map[*goredis.Client]int)
	for _, c := range calls {
		b := bucket(c)
		if of[b] == 0 {
			node, err := cluster.MasterForKey(ctx, keyPrefix+hashTag(b))
			if err != nil {
				return nil, err
			}
			if index[node] == 0 {
				groups = append(groups, nil)
				index[node] = len(groups)
			}
			of[b] = index[node]
		}
		groups[of[b]-1] = append(groups[of[b]-1], c)
	}
	return groups, nil
}
