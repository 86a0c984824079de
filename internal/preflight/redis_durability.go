package preflight

import "fmt"

// persistence checks whether claims survive a restart. Lost claims are rebuilt from
// Kafka, but until then not even retries of written events get their receipts.
func persistence(m RedisMaster, needs RedisNeeds) []Finding {
	const check = "redis.persistence"
	switch {
	case m.AOF && m.ConfigKnown:
		return []Finding{{OK, check, m.Address, "append-only file, appendfsync " + m.AppendFsync, ""}}
	case m.AOF:
		return []Finding{{OK, check, m.Address, "append-only file", ""}}
	case !m.ConfigKnown:
		return []Finding{{
			Warning, check, m.Address, "no append-only file, and it is not known whether snapshots are saved: CONFIG GET is not permitted",
			"ask whoever runs this Redis; " + emptyAfterwards(needs),
		}}
	case m.Save != "":
		return []Finding{{OK, check, m.Address, fmt.Sprintf("snapshots (save %s): what came later is learnt from Kafka after a restart", m.Save), ""}}
	}
	return []Finding{{
		Warning, check, m.Address, "nothing is persisted; " + emptyAfterwards(needs),
		"set appendonly yes; or accept it, where replicas are promoted instead of a master being restarted",
	}}
}

func emptyAfterwards(needs RedisNeeds) string {
	return "a Redis that comes back empty costs 503 for all keyed events, retries of written ones too, until a gateway has learnt the keys from Kafka: " + rebuildTime(needs)
}

// splitBrain checks whether a master that was replaced, but does not know it, would
// still accept claims of gateways that reach only it. They are void (docs/adr/0021), which
// is right, and costs their callers another try.
func splitBrain(m RedisMaster, t RedisTopology, needs RedisNeeds) []Finding {
	const check = "redis.split_brain"
	var list []Finding
	if m.Replicas == 0 {
		if t != RedisSentinel {
			return nil // no server can be promoted
		}
		list = append(list, Finding{Warning, "redis.replicas", m.Address, "no replica is connected: the sentinels have nobody to promote", "bring a replica up"})
	}
	wanted := fmt.Sprintf("min-replicas-to-write 1 and min-replicas-max-lag below the lease (%s), on the replicas too", needs.Lease)
	const risk = ": after a failover the old master may go on taking claims, which are void, and their events have to be sent again"
	switch {
	case !m.ConfigKnown:
		return append(list, Finding{
			Warning, check, m.Address, "it is not known whether a master that lost its replicas stops taking writes: CONFIG GET is not permitted",
			"ask whoever runs this Redis for " + wanted,
		})
	case m.MinReplicas == 0 || m.MinReplicasMaxLag == 0: // either switches it off
		return append(list, Finding{Warning, check, m.Address, fmt.Sprintf("%s, and min-replicas-to-write is off", replicasText(m.Replicas)) + risk, "set " + wanted})
	case m.MinReplicasMaxLag >= needs.Lease:
		return append(list, Finding{
			Warning, check, m.Address,
			fmt.Sprintf("min-replicas-max-lag (%s) is not below the lease (%s)", m.MinReplicasMaxLag, needs.Lease) + risk, "set " + wanted,
		})
	}
	return append(list, Finding{
		OK, check, m.Address,
		fmt.Sprintf("%s; without %d in step for %s it takes no writes", replicasText(m.Replicas), m.MinReplicas, m.MinReplicasMaxLag), "",
	})
}

func replicasText(n int) string {
	if n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}
