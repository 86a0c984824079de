package idempotency

import (
	"context"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/preflight"
	"eventgateway/internal/redis"
)

// clockSamples is how often the clock is read: the quickest answer is the most exact.
const clockSamples = 5

// inspectServer collects the facts about one server, which holds the bucket.
func (i inspector) inspectServer(ctx context.Context, rdb redis.Client, addr string, bucket byte) preflight.RedisMaster {
	m := preflight.RedisMaster{Address: addr}
	if err := rdb.Ping(ctx).Err(); err != nil {
		m.Failure = i.unanswered(ctx, addr, err)
		return m
	}
	i.clock(ctx, rdb, &m)
	if text, err := rdb.Info(ctx).Result(); err == nil {
		readInfo(&m, parseInfo(text))
	}
	readConfig(ctx, rdb, &m)
	probe(ctx, rdb, &m, bucket)
	return m
}

// clock measures how far Redis' clock is ahead. It assumes that Redis read its clock in
// the middle of the round trip, which is wrong by at most half of it.
func (i inspector) clock(ctx context.Context, rdb redis.Client, m *preflight.RedisMaster) {
	for range clockSamples {
		sent := i.now()
		there, err := rdb.Time(ctx).Result()
		trip := i.now().Sub(sent)
		if err != nil {
			return
		}
		if m.Ahead == nil || trip < m.RoundTrip {
			ahead := there.Sub(sent.Add(trip / 2))
			m.Ahead, m.RoundTrip = &ahead, trip
		}
	}
}

func readInfo(m *preflight.RedisMaster, info map[string]string) {
	m.InfoKnown = true
	m.Version, m.Replica = info["redis_version"], info["role"] == "slave"
	if v := info["valkey_version"]; v != "" {
		m.Product = "Valkey " + v
	}
	m.Replicas = int(number(info, "connected_slaves"))
	m.AOF = info["aof_enabled"] == "1"
	m.Memory = preflight.RedisMemory{
		Used: number(info, "used_memory"), Max: number(info, "maxmemory"), System: number(info, "total_system_memory"),
		Policy: info["maxmemory_policy"], Evicted: number(info, "evicted_keys"),
	}
	// db0:keys=300,expires=44,avg_ttl=0
	for part := range strings.SplitSeq(info["db0"], ",") {
		if n, ok := strings.CutPrefix(part, "expires="); ok {
			m.ExpiringKeys, _ = strconv.ParseInt(n, 10, 64)
		}
	}
}

// readConfig reads the settings that INFO does not report. Hosted services seldom permit
// it.
func readConfig(ctx context.Context, rdb redis.Client, m *preflight.RedisMaster) {
	names := []string{"appendfsync", "save", "min-replicas-to-write", "min-replicas-max-lag"}
	values := make(map[string]string)
	cmds, err := rdb.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for _, name := range names {
			pipe.ConfigGet(ctx, name)
		}
		return nil
	})
	if err != nil {
		return
	}
	for n, cmd := range cmds {
		if answer, ok := cmd.(*goredis.MapStringStringCmd); ok {
			values[names[n]] = answer.Val()[names[n]]
		}
	}
	m.ConfigKnown = true
	m.AppendFsync, m.Save = values["appendfsync"], values["save"]
	m.MinReplicas = int(number(values, "min-replicas-to-write"))
	m.MinReplicasMaxLag = time.Duration(number(values, "min-replicas-max-lag")) * time.Second
}

// parseInfo reads the answer to INFO: the fields of all sections by name.
func parseInfo(text string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if ok && !strings.HasPrefix(name, "#") {
			fields[name] = value
		}
	}
	return fields
}

// number is the value of a field that is a whole number; 0 if it is missing.
func number(fields map[string]string, name string) int64 {
	n, _ := strconv.ParseInt(fields[name], 10, 64)
	return n
}
