package preflight

import (
	"fmt"
	"math"
	"time"
)

// The memory of one remembered key in Redis, hash tables included, measured
// (docs/operations.md). A Cluster also links the keys of each slot.
const (
	BytesPerKey        = 200
	BytesPerClusterKey = 216
)

func bytesPerKey(t RedisTopology) float64 {
	if t == RedisCluster {
		return BytesPerClusterKey
	}
	return BytesPerKey
}

const (
	// fullShare is the share of its memory from which a Redis counts as nearly full:
	// saving and replication need some, too.
	fullShare = 0.8
	minTTL    = time.Second
)

// eviction checks that Redis evicts no claims: an evicted key is forgotten without a trace.
func eviction(m RedisMaster, needs RedisNeeds) []Finding {
	const check = "redis.eviction"
	var list []Finding
	switch policy := m.Memory.Policy; policy {
	case "":
		list = append(list, Finding{
			Warning, check, m.Address, "it does not say its maxmemory-policy",
			"make sure that it is noeviction: an evicted claim is a forgotten key, and its retry is published again",
		})
	case "noeviction":
		list = append(list, Finding{OK, check, m.Address, "maxmemory-policy is noeviction", ""})
	default:
		what := fmt.Sprintf("maxmemory-policy is %s: when memory runs out, Redis forgets keys, and their retries are published again", policy)
		if m.Memory.Max == 0 {
			what = fmt.Sprintf("maxmemory-policy is %s: as soon as maxmemory is set and reached, Redis forgets keys, and their retries are published again", policy)
		}
		list = append(list, Finding{Error, check, m.Address, what, "set maxmemory-policy noeviction, in redis.conf too"})
	}
	if m.Memory.Evicted > 0 {
		list = append(list, Finding{
			Warning, "redis.evicted", m.Address,
			fmt.Sprintf("%s keys were evicted since this Redis was started; claims may be among them", countText(float64(m.Memory.Evicted))),
			fmt.Sprintf("set maxmemory-policy noeviction, then learn the keys again: gateway idempotency rebuild -c %s --since %s", needs.file(), needs.TTL),
		})
	}
	return list
}

// limit checks that maxmemory is set: without it the kernel kills a Redis that could have
// refused writes.
func limit(m RedisMaster) []Finding {
	const check = "redis.maxmemory"
	if m.Memory.Max > 0 {
		return []Finding{{OK, check, m.Address, fmt.Sprintf("%s of maxmemory %s are used", bytesText(m.Memory.Used), bytesText(m.Memory.Max)), ""}}
	}
	what := "maxmemory is not set: a Redis that grows too large is killed by its machine, instead of refusing what is new"
	if m.Memory.System > 0 {
		what += fmt.Sprintf(" (%s used, the machine has %s)", bytesText(m.Memory.Used), bytesText(m.Memory.System))
	}
	return []Finding{{Warning, check, m.Address, what, "set maxmemory to what the machine can spare, less what saving and replicas need"}}
}

// room compares how many keys fit with how many are to be remembered. Keys spread evenly
// over the buckets, so that in a Cluster the master with the least room decides.
func room(masters []RedisMaster, f RedisFacts, needs RedisNeeds) []Finding {
	const check = "redis.memory"
	each, buckets := bytesPerKey(f.Topology), f.Claims.Buckets
	more, total := math.Inf(1), math.Inf(1)
	tightest, full := "", false
	for _, m := range masters {
		ceiling := m.Memory.Max
		if ceiling == 0 {
			ceiling = m.Memory.System
		}
		if !m.InfoKnown || ceiling == 0 {
			return []Finding{{Warning, check, m.Address, "it does not say how much memory it may use", "compare it with " + estimate(each, needs)}}
		}
		share := 1.0
		if m.Buckets > 0 && buckets > 0 {
			share = float64(m.Buckets) / float64(buckets)
		}
		free := float64(max(ceiling-m.Memory.Used, 0)) / each
		if all := (free + float64(m.ExpiringKeys)) / share; all < total {
			more, total, tightest = free/share, all, m.Address
			full = float64(m.Memory.Used) > fullShare*float64(ceiling)
		}
	}
	if len(masters) == 0 {
		return nil
	}
	ttl := max(needs.TTL, minTTL)
	what := fmt.Sprintf("a million keys take %s; room for %s more, %s in all: %s new keys a second for %s",
		bytesText(int64(1e6*each)), countText(more), countText(total), rateText(total/ttl.Seconds()), ttl)
	wanted := needs.ExpectedRate * ttl.Seconds()
	if wanted > 0 {
		what += fmt.Sprintf("; %s a second are %s keys, %s", rateText(needs.ExpectedRate), countText(wanted), bytesText(int64(wanted*each)))
	}
	switch {
	case wanted > total:
		return []Finding{{
			Error, check, tightest, what + ": when memory runs out, keyed events are refused (503)",
			fmt.Sprintf("give Redis at least %s more, or make idempotency.ttl at most %s", bytesText(int64((wanted/fullShare-total)*each)), shorter(total, needs.ExpectedRate)),
		}}
	case wanted > fullShare*total:
		return []Finding{{Warning, check, tightest, what + ", which is nearly all", "give Redis more memory, or shorten idempotency.ttl"}}
	case wanted == 0 && full:
		return []Finding{{Warning, check, tightest, what + ": Redis is nearly full", "look whether it still fills up: used_memory is flat once keys are as old as idempotency.ttl; pass --expected-rate to learn whether it is enough"}}
	}
	return []Finding{{OK, check, tightest, what, ""}}
}

// shorter is a TTL for which the keys of a rate fit with some room to spare.
func shorter(total, rate float64) time.Duration {
	d := time.Duration(fullShare * total / rate * float64(time.Second))
	if d > time.Minute {
		return d.Truncate(time.Minute)
	}
	return d.Truncate(time.Second)
}

func estimate(each float64, needs RedisNeeds) string {
	text := fmt.Sprintf("%s for each million keys of the last %s", bytesText(int64(1e6*each)), needs.TTL)
	if needs.ExpectedRate > 0 {
		text += fmt.Sprintf(", which are %s", bytesText(int64(needs.ExpectedRate*needs.TTL.Seconds()*each)))
	}
	return text
}
