//go:build integration

package idempotency

import (
	"crypto/tls"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/preflight"
	"eventgateway/internal/redis"
	"eventgateway/test/services"
)

// needs are the defaults of the configuration.
var needs = preflight.RedisNeeds{TTL: 24 * time.Hour, Lease: 30 * time.Second, ClockSlack: 17 * time.Second}

// documentedUser is what docs/operations.md calls enough.
const documentedUser = "~gw:* -@all +evalsha +eval +script|load +info +time +get +set +del +mget +pexpire +hset +hsetnx +hget +hgetall +exists +ping"

// requireFinding requires the finding among those about the facts that Inspect collects.
func requireFinding(t *testing.T, cfg redis.Config, severity preflight.Severity, check, what string) {
	t.Helper()
	requireFindingFor(t, cfg, needs, severity, check, what)
}

// requireFindingFor is requireFinding with needs of its own.
func requireFindingFor(t *testing.T, cfg redis.Config, needs preflight.RedisNeeds, severity preflight.Severity, check, what string) {
	t.Helper()
	facts := Inspect(t.Context(), cfg, inTest, time.Now)
	list := append(preflight.Redis(facts, needs), preflight.RedisClock(facts, needs)...)
	for _, f := range list {
		if f.Check == check && f.Severity == severity && strings.Contains(f.What, what) {
			return
		}
	}
	require.Fail(t, "not found", "%s %s %q in %+v", severity, check, what, list)
}

// rulesOf are the rules of a user as ACL SETUSER takes them.
func rulesOf(rules string) (args []any) {
	for rule := range strings.FieldsSeq(rules) {
		args = append(args, rule)
	}
	return args
}

func at(addrs ...string) redis.Config { return redis.Config{Addresses: addrs} }

func TestInspectSettings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args     []string
		severity preflight.Severity
		check    string
		what     string
	}{
		"evicts at random":    {[]string{"--maxmemory-policy", "allkeys-lru", "--maxmemory", "100mb"}, preflight.Error, "redis.eviction", "maxmemory-policy is allkeys-lru: when memory runs out"},
		"evicts what expires": {[]string{"--maxmemory-policy", "volatile-ttl"}, preflight.Error, "redis.eviction", "volatile-ttl: as soon as maxmemory is set"},
		"evicts nothing":      {nil, preflight.OK, "redis.eviction", "noeviction"},
		"no persistence":      {nil, preflight.Warning, "redis.persistence", "nothing is persisted"},
		"append-only file":    {[]string{"--appendonly", "yes"}, preflight.OK, "redis.persistence", "append-only file, appendfsync everysec"},
		"snapshots":           {[]string{"--save", "60 1"}, preflight.OK, "redis.persistence", "snapshots (save 60 1)"},
		"no limit":            {nil, preflight.Warning, "redis.maxmemory", "maxmemory is not set"},
		"a limit":             {[]string{"--maxmemory", "100mb"}, preflight.OK, "redis.maxmemory", "of maxmemory 100.0 MiB"},
		"room":                {[]string{"--maxmemory", "100mb"}, preflight.OK, "redis.memory", " new keys a second for 24h0m0s"},
		"nearly full":         {[]string{"--maxmemory", "1000kb"}, preflight.Error, "redis.writes", "OOM"},
		"full":                {[]string{"--maxmemory", "1000kb"}, preflight.Warning, "redis.memory", "nearly full"},
		"too few replicas":    {[]string{"--min-replicas-to-write", "1"}, preflight.Error, "redis.writes", "NOREPLICAS"},
		"takes writes":        {nil, preflight.OK, "redis.writes", "takes writes, and answers in"},
		"version":             {nil, preflight.OK, "redis.version", "Redis 7"},
		"topology":            {nil, preflight.OK, "redis.topology", "one server"},
		"a lone cluster node": {[]string{"--cluster-enabled", "yes"}, preflight.Error, "redis.topology", "is a node of a Cluster"},
		"permissions":         {nil, preflight.OK, "redis.permissions", "may run"},
		"no markers":          {nil, preflight.Warning, "redis.claims", "Redis is new or was emptied"},
		"clock":               {nil, preflight.OK, "clock.redis", "this machine's"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireFinding(t, at(ownRedis(t, c.args...).Addr()), c.severity, c.check, c.what)
		})
	}
}

func TestInspectUsers(t *testing.T) {
	t.Parallel()
	addr := ownRedis(t).Addr()
	user := func(name, rules string) redis.Config {
		do(t, addr, append([]any{"ACL", "SETUSER", name, "on", ">secret"}, rulesOf(rules)...)...)
		return redis.Config{Addresses: []string{addr}, Username: name, Password: "secret"}
	}
	for name, c := range map[string]struct {
		rules    string
		severity preflight.Severity
		check    string
		what     string
	}{
		"documented":       {documentedUser, preflight.OK, "redis.permissions", "may run"},
		"config":           {documentedUser, preflight.Warning, "redis.persistence", "CONFIG GET is not permitted"},
		"no-info":          {documentedUser + " -info", preflight.Error, "redis.permissions", "refuses INFO in scripts"},
		"no-info-unknown":  {documentedUser + " -info", preflight.Warning, "redis.info", "are not known"},
		"no-info-markers":  {documentedUser + " -info", preflight.Error, "redis.claims", "cannot be read"},
		"no-writes":        {documentedUser + " -set -del -pexpire", preflight.Error, "redis.permissions", "set, del, pexpire"},
		"no-time":          {documentedUser + " -time", preflight.Error, "redis.permissions", "time"},
		"no-script-load":   {documentedUser + " -script|load", preflight.Error, "redis.permissions", "script|load"},
		"no-eval":          {documentedUser + " -eval", preflight.Error, "redis.permissions", "eval"},
		"no-evalsha":       {documentedUser + " -evalsha", preflight.Error, "redis.permissions", "evalsha"},
		"other-keys":       {strings.Replace(documentedUser, "~gw:*", "~other:*", 1), preflight.Error, "redis.permissions", "keys that begin with gw:"},
		"read-only-keys":   {strings.Replace(documentedUser, "~gw:*", "%R~gw:*", 1), preflight.Error, "redis.permissions", "keys that begin with gw:"},
		"no-ping":          {documentedUser + " -ping", preflight.Error, "redis.address", "may not ask it"},
		"switched-off":     {documentedUser + " off", preflight.Error, "redis.address", "refuses the user name or the password"},
		"another-password": {documentedUser + " <secret >other", preflight.Error, "redis.address", "refuses the user name or the password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireFinding(t, user(name, c.rules), c.severity, c.check, c.what)
		})
	}
}

func TestInspectUnreachable(t *testing.T) {
	t.Parallel()
	guarded := ownRedis(t).Addr()
	do(t, guarded, "CONFIG", "SET", "requirepass", "secret")
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, silent.Close()) })
	secured, trusted := secureRedis(t)
	plain := ownRedis(t).Addr()
	overTLS := func(addr string, cfg *tls.Config) redis.Config {
		return redis.Config{Addresses: []string{addr}, TLS: cfg}
	}
	for name, c := range map[string]struct {
		cfg  redis.Config
		what string
	}{
		"nothing listens":       {at("127.0.0.1:1"), "nothing listens there"},
		"no such host":          {at("no-such-host.invalid:6379"), "host name is not known"},
		"no answer":             {at(silent.Addr().String()), "does not answer"},
		"no password":           {at(guarded), "wants a password"},
		"wrong password":        {redis.Config{Addresses: []string{guarded}, Password: "hunter2"}, "refuses the user name or the password"},
		"wrong user":            {redis.Config{Addresses: []string{guarded}, Username: "nobody", Password: "hunter2"}, "refuses the user name or the password"},
		"TLS to a plain port":   {overTLS(plain, trusted), "does not speak TLS"},
		"plain to a TLS port":   {at(secured), "closes the connection"},
		"an unknown authority":  {overTLS(secured, &tls.Config{MinVersion: tls.VersionTLS12}), "certificate is not trusted"},
		"another name":          {overTLS(secured, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trusted.RootCAs, ServerName: "elsewhere"}), "certificate is not trusted"},
		"no client certificate": {overTLS(secured, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trusted.RootCAs}), "refuses the gateway's certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireFinding(t, c.cfg, preflight.Error, "redis.address", c.what)
			facts := Inspect(t.Context(), c.cfg, inTest, time.Now)
			for _, f := range preflight.Redis(facts, needs) {
				require.NotContains(t, f.What+f.Do, "hunter2")
				require.NotEqual(t, preflight.OK, f.Severity)
			}
		})
	}
	t.Run("TLS", func(t *testing.T) {
		t.Parallel()
		requireFinding(t, overTLS(secured, trusted), preflight.OK, "redis.writes", "takes writes")
	})
}

// TestInspectFewPermissionsAndAOF: INFO reports the file, but not how it is synced.
func TestInspectFewPermissionsAndAOF(t *testing.T) {
	t.Parallel()
	addr := ownRedis(t, "--appendonly", "yes").Addr()
	do(t, addr, append([]any{"ACL", "SETUSER", "documented", "on", ">secret"}, rulesOf(documentedUser)...)...)
	cfg := redis.Config{Addresses: []string{addr}, Username: "documented", Password: "secret"}
	facts := Inspect(t.Context(), cfg, inTest, time.Now)
	require.Contains(t, preflight.Redis(facts, needs), preflight.Finding{Severity: preflight.OK, Check: "redis.persistence", Subject: addr, What: "append-only file"})
}

// TestInspectClaims: markers that are there, foreign, and in part.
func TestInspectClaims(t *testing.T) {
	t.Parallel()
	server := ownRedis(t)
	r := newBackend(server.Addr(), 0)
	store := newRig(t, r, withoutMarkers, notRunning)
	_, err := store.AssertEmpty(t.Context())
	require.NoError(t, err)
	requireFinding(t, at(server.Addr()), preflight.OK, "redis.claims", "all 256 buckets")
	do(t, server.Addr(), "DEL", markerKey(3), markerKey(4))
	do(t, server.Addr(), "SET", markerKey(5), "another")
	requireFinding(t, at(server.Addr()), preflight.Warning, "redis.claims", "3 of 256 buckets of keys are not ready, 1 of them because")
}

// TestInspectReplica inspects a master and a replica without min-replicas-to-write.
func TestInspectReplica(t *testing.T) {
	t.Parallel()
	master := ownRedis(t)
	replica, err := services.StartRedis(t.Context(), services.RedisConfig{Dir: t.TempDir(), ReplicaOf: master.Addr()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, replica.Kill()) })
	rdb := goredis.NewClient(&goredis.Options{Addr: master.Addr()})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	require.Eventually(t, func() bool {
		info, err := rdb.Info(t.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "state=online")
	}, patience, pollEvery)

	requireFinding(t, at(replica.Addr()), preflight.Error, "redis.writes", "is a replica")
	requireFinding(t, at(master.Addr()), preflight.Warning, "redis.split_brain", "1 replica, and min-replicas-to-write is off")
	do(t, master.Addr(), "CONFIG", "SET", "min-replicas-to-write", "1", "min-replicas-max-lag", "60")
	requireFinding(t, at(master.Addr()), preflight.Warning, "redis.split_brain", "min-replicas-max-lag (1m0s) is not below the lease (30s)")
	do(t, master.Addr(), "CONFIG", "SET", "min-replicas-max-lag", "10")
	requireFinding(t, at(master.Addr()), preflight.OK, "redis.split_brain", "1 replica; without 1 in step for 10s it takes no writes")

	for _, r := range []*services.Redis{master, replica} {
		do(t, r.Addr(), append([]any{"ACL", "SETUSER", "documented", "on", ">secret"}, rulesOf(documentedUser)...)...)
		do(t, r.Addr(), append([]any{"ACL", "SETUSER", "no-info", "on", ">secret"}, rulesOf(documentedUser+" -info")...)...)
	}
	as := func(r *services.Redis, user string) redis.Config {
		return redis.Config{Addresses: []string{r.Addr()}, Username: user, Password: "secret"}
	}
	requireFinding(t, as(master, "documented"), preflight.Warning, "redis.split_brain", "it is not known whether a master that lost its replicas stops taking writes")
	requireFinding(t, as(replica, "no-info"), preflight.Error, "redis.writes", "refuses writes: READONLY")

	t.Run("Sentinel", func(t *testing.T) {
		sentinel := startSentinel(t, master.Addr())
		cfg := redis.Config{Addresses: []string{sentinel}, Master: "gateways"}
		requireFinding(t, cfg, preflight.OK, "redis.topology", "name the master "+master.Addr())
		requireFinding(t, cfg, preflight.OK, "redis.writes", "takes writes")
		do(t, master.Addr(), "CONFIG", "SET", "min-replicas-to-write", "0")
		requireFinding(t, cfg, preflight.Warning, "redis.split_brain", "min-replicas-to-write is off")
		cfg.Addresses = append(cfg.Addresses, "127.0.0.1:1")
		requireFinding(t, cfg, preflight.Warning, "redis.address", "nothing listens there (connection refused); 1 of 2 answer")
		cfg.Master = "others"
		requireFinding(t, cfg, preflight.Error, "redis.topology", "knows no master")
		requireFinding(t, at(sentinel), preflight.Error, "redis.topology", "is a sentinel, but redis.master is empty")
		requireFinding(t, redis.Config{Addresses: []string{master.Addr()}, Master: "gateways"}, preflight.Error, "redis.topology", "is not a sentinel")
		do(t, sentinel, "ACL", "SETUSER", "default", "resetpass", ">secret")
		cfg.Addresses, cfg.Master = []string{sentinel, startSentinel(t, master.Addr())}, "gateways"
		requireFinding(t, cfg, preflight.Error, "redis.address", "wants a password")
		for _, f := range preflight.Redis(Inspect(t.Context(), cfg, inTest, time.Now), needs) {
			require.True(t, f.Severity != preflight.Error || strings.Contains(f.Do, "let the sentinels answer without a password"), f)
		}
	})
}

// TestInspectCluster: every master is inspected.
func TestInspectCluster(t *testing.T) {
	t.Parallel()
	var addrs []string
	for range 3 {
		addrs = append(addrs, ownRedis(t, "--cluster-enabled", "yes", "--maxmemory", "100mb").Addr())
	}
	requireFinding(t, at(addrs...), preflight.Error, "redis.claims", "CLUSTERDOWN")
	out, err := exec.CommandContext(t.Context(), "redis-cli", append(append([]string{"--cluster", "create"}, addrs...), "--cluster-yes")...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Eventually(t, func() bool {
		for _, addr := range addrs {
			rdb := goredis.NewClient(&goredis.Options{Addr: addr})
			info, err := rdb.ClusterInfo(t.Context()).Result()
			_ = rdb.Close()
			if err != nil || !strings.Contains(info, "cluster_state:ok") {
				return false
			}
		}
		return true
	}, patience, 10*pollEvery)

	requireFinding(t, at(addrs...), preflight.OK, "redis.topology", "a Cluster with 3 masters")
	requireFinding(t, at(addrs...), preflight.Warning, "redis.claims", "new or was emptied")
	facts := Inspect(t.Context(), at(addrs...), inTest, time.Now)
	buckets := 0
	for _, m := range facts.Masters {
		require.Nil(t, m.Failure)
		require.Empty(t, m.Refused)
		buckets += m.Buckets
	}
	require.Equal(t, bucketCount, buckets)

	user := at(addrs...)
	user.Username, user.Password = "gateway", "secret"
	for _, addr := range addrs {
		do(t, addr, "ACL", "SETUSER", "gateway", "on", ">secret", "~gw:*", "-@all", "+evalsha", "+eval", "+script|load",
			"+info", "+time", "+get", "+set", "+del", "+mget", "+pexpire", "+ping")
	}
	requireFinding(t, user, preflight.Error, "redis.topology", "may not ask it")
	for _, addr := range addrs {
		do(t, addr, "ACL", "SETUSER", "gateway", "+cluster", "+readonly")
	}
	requireFinding(t, user, preflight.OK, "redis.topology", "a Cluster with 3 masters")
	requireFinding(t, user, preflight.Warning, "redis.claims", "new or was emptied")

	do(t, addrs[1], "CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
	requireFinding(t, at(addrs...), preflight.Error, "redis.eviction", "allkeys-lfu")
	plain := ownRedis(t).Addr()
	requireFinding(t, at(plain, ownRedis(t).Addr()), preflight.Error, "redis.topology", "is not a node of a Cluster")
	requireFinding(t, at(addrs[0], "127.0.0.1:1"), preflight.Warning, "redis.address", "nothing listens")
}

// TestInspectClock: the gateway's clock differs from Redis', which is this machine's.
func TestInspectClock(t *testing.T) {
	t.Parallel()
	addr := ownRedis(t).Addr()
	for name, c := range map[string]struct {
		off      time.Duration
		severity preflight.Severity
		what     string
	}{
		"a little":      {-100 * time.Millisecond, preflight.OK, "ms ahead of this machine's"},
		"fast":          {3 * time.Second, preflight.Warning, "s behind this machine's"},
		"slow":          {-3 * time.Second, preflight.Warning, "s ahead of this machine's"},
		"another clock": {-time.Hour, preflight.Error, "more than the 10s that may be between them"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts := Inspect(t.Context(), at(addr), inTest, func() time.Time { return time.Now().Add(c.off) })
			require.Len(t, facts.Masters, 1)
			require.InDelta(t, -c.off, *facts.Masters[0].Ahead, float64(500*time.Millisecond))
			list := preflight.RedisClock(facts, needs)
			require.Len(t, list, 1)
			require.Equal(t, c.severity, list[0].Severity, list[0].What)
			require.Contains(t, list[0].What, c.what)
		})
	}
}

// TestInspectChangesNothing: the commands that it tries out change nothing either.
func TestInspectChangesNothing(t *testing.T) {
	t.Parallel()
	addr := ownRedis(t).Addr()
	rdb := goredis.NewClient(&goredis.Options{Addr: addr})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	do(t, addr, "CONFIG", "SET", "maxmemory", "100mb")
	Inspect(t.Context(), at(addr), inTest, time.Now)
	info, err := rdb.Info(t.Context(), "persistence", "keyspace").Result()
	require.NoError(t, err)
	require.EqualValues(t, 0, number(parseInfo(info), "rdb_changes_since_last_save"))
	require.Empty(t, parseInfo(info)["db0"])
}

// TestShowWithFewPermissions: the documented user may not ask for times to live.
func TestShowWithFewPermissions(t *testing.T) {
	t.Parallel()
	addr := ownRedis(t).Addr()
	gateway := newRig(t, newBackend(addr, 0))
	c := gateway.newClaim()
	gateway.mustWin(t, c)
	do(t, addr, append([]any{"ACL", "SETUSER", "gateway", "on", ">secret"}, rulesOf(documentedUser)...)...)
	rdb := redis.New(redis.Config{Addresses: []string{addr}, Username: "gateway", Password: "secret"})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	shown, err := Show(t.Context(), rdb, testInstallation, c.ID)
	require.NoError(t, err)
	require.Equal(t, ShownClaimed, shown.State)
	require.Nil(t, shown.Expires)
}
