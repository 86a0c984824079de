package preflight

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

var usualNeeds = RedisNeeds{TTL: 24 * time.Hour, Lease: 30 * time.Second, ClockSlack: 17 * time.Second, File: "gateway.yaml"}

// soundMaster is one that nothing is wrong with.
func soundMaster() RedisMaster {
	ahead := 20 * time.Microsecond
	return RedisMaster{
		Address: "redis:6379", Buckets: 256, RoundTrip: 300 * time.Microsecond, Ahead: &ahead,
		InfoKnown: true, Version: "7.0.15", AOF: true,
		Memory:      RedisMemory{Used: 100 * mib, Max: 8 * gib, System: 16 * gib, Policy: "noeviction"},
		ConfigKnown: true, AppendFsync: "everysec",
	}
}

func soundFacts() RedisFacts {
	return RedisFacts{
		Topology:  RedisSingle,
		Addresses: []RedisAddress{{Address: "redis:6379", Mode: ModeStandalone}},
		Masters:   []RedisMaster{soundMaster()},
		Claims:    RedisClaims{Buckets: 256, Ready: 256},
	}
}

// sentinels makes facts those of a master with a replica behind three sentinels.
func sentinels(f *RedisFacts) {
	f.Topology = RedisSentinel
	f.Addresses = nil
	for _, addr := range []string{"s1:26379", "s2:26379", "s3:26379"} {
		f.Addresses = append(f.Addresses, RedisAddress{Address: addr, Mode: ModeSentinel, Master: "redis:6379"})
	}
	f.Masters[0].Replicas, f.Masters[0].MinReplicas, f.Masters[0].MinReplicasMaxLag = 1, 1, 10*time.Second
}

// lines says findings as a report would.
func lines(list []Finding) []string {
	texts := make([]string, len(list))
	for i, f := range list {
		texts[i] = strings.TrimSpace(string(f.Severity) + " " + f.Check + " " + f.Subject + ": " + f.What)
	}
	return texts
}

func requireWellFormed(t *testing.T, list []Finding) {
	t.Helper()
	for _, f := range list {
		require.NotEmpty(t, f.Check)
		require.NotEmpty(t, f.What)
		require.Equal(t, f.Severity == OK, f.Do == "", "%+v", f)
		require.Contains(t, []Severity{OK, Warning, Error}, f.Severity)
	}
}

func TestRedisSound(t *testing.T) {
	t.Parallel()
	list := append(Redis(soundFacts(), usualNeeds), RedisClock(soundFacts(), usualNeeds)...)
	requireWellFormed(t, list)
	require.Equal(t, []string{
		"ok redis.topology : one server, without Sentinel and Cluster",
		"ok redis.permissions redis:6379: the user may run what the gateway's scripts need",
		"ok redis.writes redis:6379: takes writes, and answers in 0.30 ms",
		"ok redis.version redis:6379: Redis 7.0.15",
		"ok redis.eviction redis:6379: maxmemory-policy is noeviction",
		"ok redis.maxmemory redis:6379: 100.0 MiB of maxmemory 8.0 GiB are used",
		"ok redis.persistence redis:6379: append-only file, appendfsync everysec",
		"ok redis.memory redis:6379: a million keys take 190.7 MiB; room for 42.4 million more, 42.4 million in all: 491 new keys a second for 24h0m0s",
		"ok redis.claims : all 256 buckets of keys are ready",
		"ok clock.redis redis:6379: Redis' clock is 20µs ahead of this machine's, give or take 0.15 ms",
	}, lines(list))

	f := soundFacts()
	sentinels(&f)
	list = Redis(f, usualNeeds)
	requireWellFormed(t, list)
	for _, one := range list {
		require.Equal(t, OK, one.Severity, one.What)
	}
	require.Contains(t, lines(list), "ok redis.split_brain redis:6379: 1 replica; without 1 in step for 10s it takes no writes")
	require.Contains(t, lines(list), "ok redis.address s2:26379: answers")
}

// TestRedis: one thing is wrong at a time, and that is what is said.
func TestRedis(t *testing.T) {
	t.Parallel()
	fail := func(k FailureKind) *Failure { return &Failure{Kind: k, Text: "the error"} }
	m := func(change func(*RedisMaster)) func(*RedisFacts) {
		return func(f *RedisFacts) { change(&f.Masters[0]) }
	}
	unreachable := func(k FailureKind) func(*RedisFacts) {
		return func(f *RedisFacts) {
			f.Addresses[0].Failure, f.Masters, f.Claims = fail(k), nil, RedisClaims{}
		}
	}
	behindSentinels := func(change func(*RedisFacts)) func(*RedisFacts) {
		return func(f *RedisFacts) {
			sentinels(f)
			change(f)
		}
	}
	for name, c := range map[string]struct {
		change func(*RedisFacts)
		want   string // the one finding that is not OK
		do     string // in what is to be done
	}{
		"refused":          {unreachable(FailedRefused), "error redis.address redis:6379: nothing listens there (connection refused)", "start Redis"},
		"name":             {unreachable(FailedName), "error redis.address redis:6379: its host name is not known: the error", "redis.addresses"},
		"timeout":          {unreachable(FailedTimeout), "error redis.address redis:6379: does not answer: the error", "firewalls"},
		"no password":      {unreachable(FailedNoPassword), "error redis.address redis:6379: wants a password, and the configuration has none", "set redis.password"},
		"wrong password":   {unreachable(FailedPassword), "error redis.address redis:6379: refuses the user name or the password, or the user is switched off", "correct redis.username"},
		"certificate":      {unreachable(FailedCertificate), "error redis.address redis:6379: its certificate is not trusted: the error", "redis.tls.ca"},
		"no TLS":           {unreachable(FailedNoTLS), "error redis.address redis:6379: does not speak TLS: it answers in plain text", "redis.tls"},
		"closed":           {unreachable(FailedClosed), "error redis.address redis:6379: closes the connection: the error", "redis.tls.enabled"},
		"client cert":      {unreachable(FailedClientCert), "error redis.address redis:6379: refuses the gateway's certificate, or the lack of one: the error", "redis.tls.cert"},
		"loading":          {unreachable(FailedLoading), "error redis.address redis:6379: still reads its data from disk", "wait"},
		"cannot save":      {unreachable(FailedSaving), "error redis.address redis:6379: serves nothing, since it could not save: the error", "fix its disk"},
		"max clients":      {unreachable(FailedFull), "error redis.address redis:6379: takes no more connections: the error", "maxclients"},
		"other":            {unreachable(FailedOther), "error redis.address redis:6379: cannot be asked: the error", "error says"},
		"may not ping":     {unreachable(FailedPermission), "error redis.address redis:6379: the user may not ask it: the error", "operations.md"},
		"master went away": {m(func(m *RedisMaster) { *m = RedisMaster{Address: "redis:6379", Failure: fail(FailedRefused)} }), "error redis.master redis:6379: nothing listens there (connection refused)", "start Redis"},

		"a cluster's node": {
			func(f *RedisFacts) { f.Addresses[0].Mode, f.Masters, f.Claims = ModeCluster, nil, RedisClaims{} },
			"error redis.topology redis:6379: is a node of a Cluster, and one address is taken for a single server: claims of other nodes would be refused", "at least two",
		},
		"a sentinel": {
			func(f *RedisFacts) { f.Addresses[0].Mode, f.Masters, f.Claims = ModeSentinel, nil, RedisClaims{} },
			"error redis.topology redis:6379: is a sentinel, but redis.master is empty", "set redis.master",
		},
		"a sentinel is away": {
			behindSentinels(func(f *RedisFacts) { f.Addresses[1] = RedisAddress{Address: "s2:26379", Failure: fail(FailedTimeout)} }),
			"warning redis.address s2:26379: does not answer: the error; 2 of 3 answer", "network",
		},
		"a sentinel wants a password": {
			behindSentinels(func(f *RedisFacts) { f.Addresses[1].Failure = fail(FailedNoPassword) }),
			"error redis.address s2:26379: wants a password, and the configuration has none", "let the sentinels answer without",
		},
		"a sentinel knows no master": {
			behindSentinels(func(f *RedisFacts) { f.Addresses[1].Master = "" }),
			"error redis.topology s2:26379: the sentinel knows no master by the name in redis.master", "SENTINEL MASTERS",
		},
		"sentinels disagree": {
			behindSentinels(func(f *RedisFacts) { f.Addresses[1].Master = "other:6379" }),
			"error redis.topology : the sentinels name 2 different masters", "failover",
		},
		"sentinels' master is away": {
			behindSentinels(func(f *RedisFacts) {
				f.Masters[0] = RedisMaster{Address: "10.0.0.7:6379", Failure: fail(FailedTimeout)}
			}),
			"error redis.master 10.0.0.7:6379: does not answer: the error", "replica-announce-ip",
		},
		"no cluster state": {
			func(f *RedisFacts) {
				f.Topology, f.Masters, f.Claims = RedisCluster, nil, RedisClaims{}
				f.NoMasters = fail(FailedPermission)
				f.Addresses[0].Mode = ModeCluster
			},
			"error redis.topology : the user may not ask it: the error", "operations.md",
		},

		"old":                {m(func(m *RedisMaster) { m.Version = "6.2.14" }), "error redis.version redis:6379: Redis 6.2.14: claims need 7.0 or newer (SET with NX and GET)", "upgrade"},
		"no version":         {m(func(m *RedisMaster) { m.Version = "" }), `warning redis.version redis:6379: its version "" cannot be read`, "7.0"},
		"no INFO":            {m(func(m *RedisMaster) { m.Denied = nil; m.InfoKnown = false; m.Memory = RedisMemory{Max: gib} }), "warning redis.info redis:6379: version, memory and persistence are not known: the user may not run INFO", "+info"},
		"commands denied":    {m(func(m *RedisMaster) { m.Denied = []string{"info", "time"} }), "error redis.permissions redis:6379: the user may not run what the gateway's scripts need: info, time", "ACL SETUSER <user> +info +time"},
		"no INFO in scripts": {m(func(m *RedisMaster) { m.Lacks = "it refuses INFO in scripts" }), "error redis.permissions redis:6379: cannot keep claims: it refuses INFO in scripts", "Managed services"},
		"keys denied":        {m(func(m *RedisMaster) { m.KeysDenied = true }), "error redis.permissions redis:6379: the user may not use keys that begin with gw:", "~gw:*"},
		"replica":            {m(func(m *RedisMaster) { m.Replica = true }), "error redis.writes redis:6379: is a replica: what is written there is not kept", "Sentinel"},
		"read-only":          {m(func(m *RedisMaster) { m.Refused = "READONLY it is" }), "error redis.writes redis:6379: refuses writes: READONLY it is", "name the master"},
		"too few replicas":   {m(func(m *RedisMaster) { m.Refused = "NOREPLICAS few" }), "error redis.writes redis:6379: refuses writes: NOREPLICAS few", "bring replicas back"},
		"out of memory":      {m(func(m *RedisMaster) { m.Refused = "OOM full" }), "error redis.writes redis:6379: refuses writes: OOM full", "raise maxmemory"},
		"disk":               {m(func(m *RedisMaster) { m.Refused = "MISCONF disk" }), "error redis.writes redis:6379: refuses writes: MISCONF disk", "disk"},
		"slots not served":   {m(func(m *RedisMaster) { m.Refused = "CLUSTERDOWN slot" }), "error redis.writes redis:6379: refuses writes: CLUSTERDOWN slot", "--cluster check redis:6379"},
		"refused for others": {m(func(m *RedisMaster) { m.Refused = "WHO knows" }), "error redis.writes redis:6379: refuses writes: WHO knows", "503"},

		"evicts":            {m(func(m *RedisMaster) { m.Memory.Policy = "allkeys-lru" }), "error redis.eviction redis:6379: maxmemory-policy is allkeys-lru: when memory runs out, Redis forgets keys, and their retries are published again", "noeviction"},
		"policy not known":  {m(func(m *RedisMaster) { m.Memory.Policy = "" }), "warning redis.eviction redis:6379: it does not say its maxmemory-policy", "noeviction"},
		"has evicted":       {m(func(m *RedisMaster) { m.Memory.Evicted = 1234 }), "warning redis.evicted redis:6379: 1,234 keys were evicted since this Redis was started; claims may be among them", "gateway idempotency rebuild -c gateway.yaml --since 24h0m0s"},
		"no limit":          {m(func(m *RedisMaster) { m.Memory.Max = 0 }), "warning redis.maxmemory redis:6379: maxmemory is not set: a Redis that grows too large is killed by its machine, instead of refusing what is new (100.0 MiB used, the machine has 16.0 GiB)", "set maxmemory"},
		"no persistence":    {m(func(m *RedisMaster) { m.AOF = false }), "warning redis.persistence redis:6379: nothing is persisted; a Redis that comes back empty costs 503 for all keyed events, retries of written ones too, until a gateway has learnt the keys from Kafka: by reading the last 24h0m0s of the topics, after idempotency.lease (30s) if a gateway does not answer", "appendonly yes"},
		"snapshots unknown": {m(func(m *RedisMaster) { m.AOF, m.ConfigKnown = false, false }), "warning redis.persistence redis:6379: no append-only file, and it is not known whether snapshots are saved: CONFIG GET is not permitted", "ask whoever runs"},

		"a replica, no rule":   {m(func(m *RedisMaster) { m.Replicas = 1 }), "warning redis.split_brain redis:6379: 1 replica, and min-replicas-to-write is off: after a failover the old master may go on taking claims, which are void, and their events have to be sent again", "below the lease (30s)"},
		"Sentinel, no rule":    {behindSentinels(m(func(m *RedisMaster) { m.MinReplicas = 0 })), "warning redis.split_brain redis:6379: 1 replica, and min-replicas-to-write is off: after a failover the old master may go on taking claims, which are void, and their events have to be sent again", "set min-replicas-to-write 1"},
		"Sentinel, lag off":    {behindSentinels(m(func(m *RedisMaster) { m.MinReplicasMaxLag = 0 })), "warning redis.split_brain redis:6379: 1 replica, and min-replicas-to-write is off: after a failover the old master may go on taking claims, which are void, and their events have to be sent again", "min-replicas-max-lag"},
		"Sentinel, slow rule":  {behindSentinels(m(func(m *RedisMaster) { m.MinReplicasMaxLag = 30 * time.Second })), "warning redis.split_brain redis:6379: min-replicas-max-lag (30s) is not below the lease (30s): after a failover the old master may go on taking claims, which are void, and their events have to be sent again", "below the lease"},
		"Sentinel, not known":  {behindSentinels(m(func(m *RedisMaster) { m.ConfigKnown = false })), "warning redis.split_brain redis:6379: it is not known whether a master that lost its replicas stops taking writes: CONFIG GET is not permitted", "min-replicas-to-write 1"},
		"Sentinel, no replica": {behindSentinels(m(func(m *RedisMaster) { m.Replicas = 0 })), "warning redis.replicas redis:6379: no replica is connected: the sentinels have nobody to promote", "bring a replica up"},

		"emptied": {
			func(f *RedisFacts) { f.Claims = RedisClaims{Buckets: 256, Missing: 256} },
			"warning redis.claims : Redis is new or was emptied: keyed events get 503 until a gateway has learnt from Kafka which were written", "gateway idempotency rebuild -c gateway.yaml --since 0s",
		},
		"promoted": {
			func(f *RedisFacts) { f.Claims = RedisClaims{Buckets: 256, Ready: 6, Foreign: 250} },
			"warning redis.claims : 250 of 256 buckets of keys are not ready, 250 of them because Redis was restarted or promoted: their keyed events get 503 until a gateway has learnt from Kafka which were written", "after idempotency.lease (30s)",
		},
		"markers unread": {
			func(f *RedisFacts) { f.Claims = RedisClaims{Buckets: 256, Failure: fail(FailedOther)} },
			"error redis.claims : the markers of the buckets of keys cannot be read: the error", "fix",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := soundFacts()
			c.change(&f)
			list := Redis(f, usualNeeds)
			requireWellFormed(t, list)
			var found []Finding
			for _, one := range list {
				// If a master does not answer INFO, its memory is not known either.
				if one.Severity != OK && (one.Check != "redis.memory" || len(found) == 0) {
					found = append(found, one)
				}
			}
			require.Equal(t, []string{c.want}, lines(found))
			require.Contains(t, found[0].Do, c.do)
		})
	}
}

func TestRebuildTimeOfGuarantees(t *testing.T) {
	t.Parallel()
	f, needs := soundFacts(), usualNeeds
	f.Claims = RedisClaims{Buckets: 256, Missing: 256}
	needs.Transactional, needs.File = true, ""
	list := Redis(f, needs)
	last := list[len(list)-1]
	require.Contains(t, last.Do, "by reading the last 24h0m0s of the topics, after fencing the producers of gateways that do not answer")
	require.Contains(t, last.Do, "rebuild -c FILE --since 0s")
}

func TestRoom(t *testing.T) {
	t.Parallel()
	const million = 1_000_000
	sized := func(used, limit int64, expiring int64) RedisMaster {
		m := soundMaster()
		m.Memory.Used, m.Memory.Max, m.Memory.System, m.ExpiringKeys = used, limit, 0, expiring
		return m
	}
	half := func(addr string, limit int64, buckets int) RedisMaster {
		m := sized(0, limit, 0)
		m.Address, m.Buckets = addr, buckets
		return m
	}
	for name, c := range map[string]struct {
		masters []RedisMaster
		rate    float64
		want    string
		do      string
	}{
		"empty":      {[]RedisMaster{sized(0, 200*million, 0)}, 0, "ok redis.memory redis:6379: a million keys take 190.7 MiB; room for 1.0 million more, 1.0 million in all: 11 new keys a second for 24h0m0s", ""},
		"half used":  {[]RedisMaster{sized(100*million, 200*million, 480_000)}, 0, "ok redis.memory redis:6379: a million keys take 190.7 MiB; room for 500,000 more, 980,000 in all: 11 new keys a second for 24h0m0s", ""},
		"full":       {[]RedisMaster{sized(180*million, 200*million, 900_000)}, 0, "warning redis.memory redis:6379: a million keys take 190.7 MiB; room for 100,000 more, 1.0 million in all: 11 new keys a second for 24h0m0s: Redis is nearly full", "--expected-rate"},
		"over":       {[]RedisMaster{sized(240*million, 200*million, 0)}, 0, "warning redis.memory redis:6379: a million keys take 190.7 MiB; room for 0 more, 0 in all: 0.0 new keys a second for 24h0m0s: Redis is nearly full", "--expected-rate"},
		"enough":     {[]RedisMaster{sized(0, 200*million, 0)}, 5, "ok redis.memory redis:6379: a million keys take 190.7 MiB; room for 1.0 million more, 1.0 million in all: 11 new keys a second for 24h0m0s; 5.0 a second are 432,000 keys, 82.4 MiB", ""},
		"scarce":     {[]RedisMaster{sized(0, 200*million, 0)}, 10, "warning redis.memory redis:6379: a million keys take 190.7 MiB; room for 1.0 million more, 1.0 million in all: 11 new keys a second for 24h0m0s; 10 a second are 864,000 keys, 164.8 MiB, which is nearly all", "more memory"},
		"not enough": {[]RedisMaster{sized(0, 200*million, 0)}, 1000, "error redis.memory redis:6379: a million keys take 190.7 MiB; room for 1.0 million more, 1.0 million in all: 11 new keys a second for 24h0m0s; 1,000 a second are 86.4 million keys, 16.1 GiB: when memory runs out, keyed events are refused (503)", "at least 19.9 GiB more, or make idempotency.ttl at most 13m0s"},
		"a cluster": {
			[]RedisMaster{half("a:6379", 500*million, 128), half("b:6379", 250*million, 64), half("c:6379", 216*million, 64)},
			0,
			"ok redis.memory c:6379: a million keys take 206.0 MiB; room for 4.0 million more, 4.0 million in all: 46 new keys a second for 24h0m0s", "",
		},
		"not known": {[]RedisMaster{sized(0, 0, 0)}, 100, "warning redis.memory redis:6379: it does not say how much memory it may use", "190.7 MiB for each million keys of the last 24h0m0s, which are 1.6 GiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needs := usualNeeds
			needs.ExpectedRate = c.rate
			facts := RedisFacts{Topology: RedisSingle, Claims: RedisClaims{Buckets: 256}}
			if len(c.masters) > 1 {
				facts.Topology = RedisCluster
			}
			list := room(c.masters, facts, needs)
			requireWellFormed(t, list)
			require.Equal(t, []string{c.want}, lines(list))
			require.Contains(t, list[0].Do, c.do)
		})
	}
	machine := sized(0, 0, 0)
	machine.Memory.System = gib
	require.Contains(t, room([]RedisMaster{machine}, RedisFacts{}, usualNeeds)[0].What, "room for 5.4 million more")
	require.Empty(t, room(nil, RedisFacts{}, usualNeeds))
}

func TestRedisClock(t *testing.T) {
	t.Parallel()
	tight := usualNeeds
	tight.ClockSlack = 0
	for name, c := range map[string]struct {
		ahead time.Duration
		needs RedisNeeds
		want  string
	}{
		"behind":           {-900 * time.Millisecond, usualNeeds, "ok clock.redis redis:6379: Redis' clock is 900ms behind this machine's, give or take 0.15 ms"},
		"two seconds":      {2 * time.Second, usualNeeds, "warning clock.redis redis:6379: Redis' clock is 2s ahead of this machine's, give or take 0.15 ms; up to 10s is tolerated"},
		"eleven seconds":   {-11 * time.Second, usualNeeds, "error clock.redis redis:6379: Redis' clock is 11s behind this machine's, give or take 0.15 ms: more than the 10s that may be between them; if the wrong one is set right while gateways run, leases end early or reads of the log begin too late"},
		"no slack":         {2 * time.Second, tight, "error clock.redis redis:6379: Redis' clock is 2s ahead of this machine's, give or take 0.15 ms: more than the 1s that may be between them; if the wrong one is set right while gateways run, leases end early or reads of the log begin too late"},
		"no slack, little": {time.Second, tight, "ok clock.redis redis:6379: Redis' clock is 1s ahead of this machine's, give or take 0.15 ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := soundFacts()
			f.Masters[0].Ahead = &c.ahead
			list := RedisClock(f, c.needs)
			requireWellFormed(t, list)
			require.Equal(t, []string{c.want}, lines(list))
		})
	}
	f := soundFacts()
	f.Masters[0].Ahead = nil
	require.Empty(t, RedisClock(f, usualNeeds), "it is reported elsewhere")
}

func TestTheVersionNamesTheProduct(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Redis 7.0.15", version(RedisMaster{Version: "7.0.15"}).What)
	valkey := version(RedisMaster{Version: "7.2.4", Product: "Valkey 9.1.2"})
	require.Equal(t, Finding{OK, "redis.version", "", "Valkey 9.1.2, which does what Redis 7.2.4 does", ""}, valkey)
}
