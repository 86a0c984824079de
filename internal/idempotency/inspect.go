package idempotency

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/preflight"
	"eventgateway/internal/redis"
)

// Inspect collects the facts that a preflight needs about the Redis of an installation's
// claims, until ctx ends. It changes nothing there. installation is asked for the name of
// the installation once Redis has answered; if that is empty, its claims are left out. now
// is the gateway's clock.
func Inspect(ctx context.Context, cfg redis.Config, installation func() string, now func() time.Time) preflight.RedisFacts {
	i := inspector{cfg: cfg, master: cfg.Master, installation: installation, now: now}
	f := preflight.RedisFacts{Topology: i.topology()}
	f.Addresses = i.askAll(ctx, f.Topology)
	switch f.Topology {
	case preflight.RedisCluster:
		i.cluster(ctx, &f)
	case preflight.RedisSentinel:
		if addr := firstMaster(f.Addresses); addr != "" {
			i.single(ctx, &f, addr)
		}
	default:
		if a := f.Addresses[0]; a.Failure == nil && (a.Mode == "" || a.Mode == preflight.ModeStandalone) {
			i.single(ctx, &f, a.Address)
		}
	}
	return f
}

type inspector struct {
	cfg    redis.Config
	master string // its name at the sentinels

	installation func() string
	now          func() time.Time
}

func (i inspector) topology() preflight.RedisTopology {
	switch {
	case i.cfg.Master != "":
		return preflight.RedisSentinel
	case i.cfg.Cluster, len(i.cfg.Addresses) > 1:
		return preflight.RedisCluster
	default:
		return preflight.RedisSingle
	}
}

// clientOf returns a client of one server, whatever else the configuration names.
func (i inspector) clientOf(addr string) redis.Client {
	cfg := i.cfg
	cfg.Addresses, cfg.Cluster, cfg.Master = []string{addr}, false, ""
	return redis.New(cfg)
}

// askAll asks every address what it is. It asks all at once, because several may not
// answer.
func (i inspector) askAll(ctx context.Context, t preflight.RedisTopology) []preflight.RedisAddress {
	list := make([]preflight.RedisAddress, len(i.cfg.Addresses))
	var asking sync.WaitGroup
	for n, addr := range i.cfg.Addresses {
		asking.Go(func() {
			list[n] = i.ask(ctx, addr, t == preflight.RedisSentinel)
		})
	}
	asking.Wait()
	return list
}

func (i inspector) ask(ctx context.Context, addr string, sentinel bool) preflight.RedisAddress {
	a := preflight.RedisAddress{Address: addr}
	if sentinel {
		i.cfg.Username, i.cfg.Password = "", "" // a gateway asks sentinels without a password
	}
	rdb := i.clientOf(addr)
	defer func() { _ = rdb.Close() }()
	if err := rdb.Ping(ctx).Err(); err != nil {
		a.Failure = i.unanswered(ctx, addr, err)
		return a
	}
	if text, err := rdb.Info(ctx, "server").Result(); err == nil {
		info := parseInfo(text)
		a.Mode = cmp.Or(info["redis_mode"], info["server_mode"]) // Valkey's name of it
	}
	if !sentinel || a.Mode != preflight.ModeSentinel {
		return a
	}
	named, err := rdb.Do(ctx, "SENTINEL", "get-master-addr-by-name", i.master).StringSlice()
	if err == nil && len(named) == 2 {
		a.Master = net.JoinHostPort(named[0], named[1])
	}
	return a
}

// firstMaster is the master that the first sentinel names.
func firstMaster(addrs []preflight.RedisAddress) string {
	for _, a := range addrs {
		if a.Failure == nil && a.Master != "" {
			return a.Master
		}
	}
	return ""
}

// single inspects the one server that holds all claims.
func (i inspector) single(ctx context.Context, f *preflight.RedisFacts, addr string) {
	rdb := i.clientOf(addr)
	defer func() { _ = rdb.Close() }()
	m := i.inspectServer(ctx, rdb, addr, 0)
	m.Buckets = bucketCount
	f.Masters = []preflight.RedisMaster{m}
	if m.Failure == nil {
		f.Claims = i.markers(ctx, rdb)
	}
}

// cluster inspects every master that holds claims.
func (i inspector) cluster(ctx context.Context, f *preflight.RedisFacts) {
	member := false
	for _, a := range f.Addresses {
		member = member || a.Failure == nil && (a.Mode == "" || a.Mode == preflight.ModeCluster)
	}
	rdb, ok := redis.New(i.cfg).(*goredis.ClusterClient)
	if !member || !ok {
		return
	}
	defer func() { _ = rdb.Close() }()
	owned := make(map[*goredis.Client][]byte)
	var masters []*goredis.Client
	for _, b := range allBuckets() {
		m, err := rdb.MasterForKey(ctx, keyPrefix+hashTag(b))
		if err != nil {
			f.NoMasters = failureOf(err)
			return
		}
		if owned[m] == nil {
			masters = append(masters, m)
		}
		owned[m] = append(owned[m], b)
	}
	f.Masters = make([]preflight.RedisMaster, len(masters))
	var inspecting sync.WaitGroup
	for n, m := range masters {
		inspecting.Go(func() {
			f.Masters[n] = i.inspectServer(ctx, m, m.Options().Addr, owned[m][0])
			f.Masters[n].Buckets = len(owned[m])
		})
	}
	inspecting.Wait()
	slices.SortFunc(f.Masters, func(a, b preflight.RedisMaster) int { return strings.Compare(a.Address, b.Address) })
	f.Claims = i.markers(ctx, rdb)
}

// markers counts the buckets whose claims are complete.
func (i inspector) markers(ctx context.Context, rdb redis.Client) preflight.RedisClaims {
	c := preflight.RedisClaims{Buckets: bucketCount}
	check := bucketScript{checkScript, markerOnly, nil}
	err := newScriptRunner(rdb, i.installation).runOnBuckets(ctx, check, allBuckets(), func(_ byte, state bucketState) {
		switch state {
		case bucketReady:
			c.Ready++
		case bucketMissing:
			c.Missing++
		case bucketForeign:
			c.Foreign++
		}
	})
	if err != nil {
		c.Failure = failureOf(err)
	}
	return c
}
