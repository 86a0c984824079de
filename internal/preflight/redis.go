package preflight

import (
	"fmt"
	"strconv"
	"strings"
)

// Redis compares the facts about the Redis of the claims with what the promise needs.
func Redis(f RedisFacts, needs RedisNeeds) []Finding {
	list := addresses(f)
	list = append(list, topology(f)...)
	var known []RedisMaster
	for _, m := range f.Masters {
		if m.Failure != nil {
			list = append(list, masterAway(m, f.Topology))
			continue
		}
		known = append(known, m)
		list = append(list, master(m, f.Topology, needs)...)
	}
	list = append(list, room(known, f, needs)...)
	return append(list, claims(f, needs)...)
}

// masterAway is the finding about a master that does not answer. Its address came from
// the sentinels or the Cluster, which may know it by one that gateways cannot reach.
func masterAway(m RedisMaster, t RedisTopology) Finding {
	found := redisUnreachable("redis.master", m.Address, *m.Failure)
	if t != RedisSingle && away(m.Failure.Kind) {
		found.Do = "start it; or, if it runs, let it be known by an address that gateways reach: replica-announce-ip or cluster-announce-ip"
	}
	return found
}

// master checks one server that answers.
func master(m RedisMaster, t RedisTopology, needs RedisNeeds) []Finding {
	list := append(permissions(m), writes(m)...)
	if !m.InfoKnown {
		return append(list, Finding{
			Warning, "redis.info", m.Address, "version, memory and persistence are not known: the user may not run INFO",
			"give the user +info",
		})
	}
	list = append(list, version(m))
	list = append(list, eviction(m, needs)...)
	list = append(list, limit(m)...)
	list = append(list, persistence(m, needs)...)
	return append(list, splitBrain(m, t, needs)...)
}

// minVersion is the first version with SET … NX GET, which claims use.
const minVersion = 7

func version(m RedisMaster) Finding {
	const check = "redis.version"
	major, _, _ := strings.Cut(m.Version, ".")
	n, err := strconv.Atoi(major)
	switch {
	case err != nil:
		return Finding{Warning, check, m.Address, fmt.Sprintf("its version %q cannot be read", m.Version), "make sure that it does what Redis 7.0 does"}
	case n < minVersion:
		return Finding{Error, check, m.Address, fmt.Sprintf("Redis %s: claims need 7.0 or newer (SET with NX and GET)", m.Version), "upgrade Redis"}
	}
	what := "Redis " + m.Version
	if m.Product != "" {
		what = m.Product + ", which does what " + what + " does"
	}
	return Finding{OK, check, m.Address, what, ""}
}

// permissions checks that the user may run every command of the scripts: a missing
// permission would show only when an event needs it.
func permissions(m RedisMaster) []Finding {
	const check = "redis.permissions"
	if m.Lacks != "" {
		return []Finding{{
			Error, check, m.Address, "cannot keep claims: " + m.Lacks,
			"use another service: docs/operations.md, Managed services; events without a key, and those of types with on_store_failure: publish, are taken, without deduplication",
		}}
	}
	var list []Finding
	if m.KeysDenied {
		list = append(list, Finding{Error, check, m.Address, "the user may not use keys that begin with gw:", "let it: ACL SETUSER <user> ~gw:*"})
	}
	if len(m.Denied) > 0 {
		list = append(list, Finding{
			Error, check, m.Address, "the user may not run what the gateway's scripts need: " + strings.Join(m.Denied, ", "),
			"let it: ACL SETUSER <user> +" + strings.Join(m.Denied, " +"),
		})
	}
	if len(list) == 0 {
		list = append(list, Finding{OK, check, m.Address, "the user may run what the gateway's scripts need", ""})
	}
	return list
}

// writes checks whether the server takes writes: one that answers may refuse every claim.
func writes(m RedisMaster) []Finding {
	const check = "redis.writes"
	code, _, _ := strings.Cut(m.Refused, " ")
	do := "see what the error says; keyed events get 503 until it is fixed"
	if m.Replica { // whether it accepts writes or not
		return []Finding{{Error, check, m.Address, "is a replica: what is written there is not kept", "name the master in redis.addresses; if masters change, use Sentinel or Cluster"}}
	}
	switch code {
	case "":
		if len(m.Denied) > 0 || m.KeysDenied {
			return nil // writing could not be tried
		}
		return []Finding{{OK, check, m.Address, "takes writes, and answers in " + milliseconds(m.RoundTrip), ""}}
	case "READONLY":
		do = "name the master in redis.addresses; if masters change, use Sentinel or Cluster"
	case "NOREPLICAS":
		do = "bring replicas back: fewer than min-replicas-to-write are in step"
	case "OOM":
		do = "raise maxmemory, or remove what does not belong there; never set an evicting maxmemory-policy"
	case "CLUSTERDOWN":
		do = "fix the Cluster: redis-cli --cluster check " + m.Address
	case "MISCONF":
		do = "fix its disk: it could not save, see its log"
	}
	return []Finding{{Error, check, m.Address, "refuses writes: " + m.Refused, do}}
}

// claims checks whether keyed events would be accepted now.
func claims(f RedisFacts, needs RedisNeeds) []Finding {
	const check = "redis.claims"
	c := f.Claims
	switch {
	case c.Buckets == 0: // not asked: no server that holds claims is known
		return nil
	case c.Failure != nil:
		return []Finding{{Error, check, "", "the markers of the buckets of keys cannot be read: " + c.Failure.Text, "fix the findings above, or see what the error says, then check again"}}
	case c.Ready == c.Buckets:
		return []Finding{{OK, check, "", fmt.Sprintf("all %d buckets of keys are ready", c.Buckets), ""}}
	case c.Missing == c.Buckets:
		return []Finding{{
			Warning, check, "", "Redis is new or was emptied: keyed events get 503 until a gateway has learnt from Kafka which were written",
			fmt.Sprintf("start a gateway: it does so by itself, %s; or, on a first installation, where no keyed event was ever written: gateway idempotency rebuild -c %s --since 0s",
				rebuildTime(needs), needs.file()),
		}}
	}
	return []Finding{{
		Warning, check, "", fmt.Sprintf("%d of %d buckets of keys are not ready, %d of them because Redis was restarted or promoted: their keyed events get 503 until a gateway has learnt from Kafka which were written",
			c.Buckets-c.Ready, c.Buckets, c.Foreign),
		"running gateways do so by themselves, by reading what is newer than the last beat that Redis kept" + silentWait(needs) + "; if none runs, start one",
	}}
}

// rebuildTime is what a rebuild takes, in words.
func rebuildTime(needs RedisNeeds) string {
	return fmt.Sprintf("by reading the last %s of the topics", needs.TTL) + silentWait(needs)
}

// silentWait is what comes before the reading if a gateway died together with Redis.
func silentWait(needs RedisNeeds) string {
	if needs.Transactional {
		return ", after fencing the producers of gateways that do not answer"
	}
	return fmt.Sprintf(", after idempotency.lease (%s) if a gateway does not answer", needs.Lease)
}

func (n RedisNeeds) file() string {
	if n.File == "" {
		return "FILE"
	}
	return n.File
}
