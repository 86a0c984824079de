//go:build integration

package idempotency

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/redis"
	"eventgateway/test/services"
)

func TestMeasuredOnRedis(t *testing.T) {
	t.Parallel()
	runMeasuredConformance(t, newRedisLab, false, true)
}

// liveLog is a log that is written to and read at the same time. It gives out nothing
// older than what it is asked for.
type liveLog struct {
	mu      sync.Mutex
	entries []event.LogEntry
	reads   []time.Duration // how far back each replay went
	waits   int
}

func (l *liveLog) add(c event.Claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, entryOf(c, time.Now()))
}

func (l *liveLog) Quiesce(context.Context, time.Time, []string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waits++
	return nil
}

func (l *liveLog) Replay(_ context.Context, from time.Time, _ bool, visit func(event.LogEntry) error, _ func([]event.TopicReplay), _ event.ReplayShare) error {
	l.mu.Lock()
	l.reads = append(l.reads, time.Since(from))
	entries := slices.Clone(l.entries)
	l.mu.Unlock()
	for _, e := range entries {
		if e.Timestamp.Before(from) {
			continue
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

// HelpReplay is not called: no topics are shared.
func (l *liveLog) HelpReplay(context.Context, time.Time, []event.TopicReplay, func(event.LogEntry) error, func([]event.TopicReplay), event.ReplayShare) error {
	panic("nothing is shared")
}

// readsSince are those after the first n.
func (l *liveLog) readsSince(n int) []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.reads[n:])
}

// fleet is gateways at work: each claims, writes and settles without a pause.
type fleet struct {
	lab
	reg      *fakeRegistry
	log      *liveLog
	gateways []*rig
	stop     func()

	mu      sync.Mutex
	settled []event.Claim
	last    time.Time     // a claim was taken
	refused time.Duration // the longest time between two that were taken
}

func startFleet(t *testing.T, l lab, size int, through func() redis.Client) *fleet {
	t.Helper()
	f := &fleet{lab: l, reg: newFakeRegistry(), log: &liveLog{}}
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	for n := range size {
		r := f.gateway(t, fmt.Sprintf("gateway-%d", n), through)
		f.gateways = append(f.gateways, r)
	}
	for _, r := range f.gateways {
		r.guard(t, f.log)
	}
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(f.gateways, func(r *rig) bool { return !r.Ready() })
	}, patience, pollEvery)
	for _, r := range f.gateways {
		working.Go(func() {
			for ctx.Err() == nil {
				f.write(ctx, r)
			}
		})
	}
	f.stop = func() {
		cancel()
		working.Wait()
	}
	t.Cleanup(f.stop)
	return f
}

func (f *fleet) gateway(t *testing.T, id string, through func() redis.Client) *rig {
	t.Helper()
	r, _ := f.member(t, f.reg, id)
	r.intervals = defaultIntervals
	if through != nil {
		rdb := through()
		t.Cleanup(func() { _ = rdb.Close() })
		r.scripts.rdb = rdb
		if cluster, ok := rdb.(*goredis.ClusterClient); ok {
			r.scripts.cluster, r.scripts.nodes = true, &nodes{cluster: cluster}
		}
	}
	return r
}

func (f *fleet) write(ctx context.Context, r *rig) {
	c := r.newClaim()
	c.ID[0] = c.ID[1] // any bucket
	limit, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	result, err := r.Claim(limit, c)
	if err != nil || result.State != event.Claimed {
		if ctx.Err() == nil {
			r.Release(c)
		}
		<-time.After(time.Millisecond)
		return
	}
	f.log.add(c)
	r.Settle(c, receiptOf(c))
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settled = append(f.settled, c)
	if !f.last.IsZero() {
		f.refused = max(f.refused, now.Sub(f.last))
	}
	f.last = now
}

// during does something to Redis, and returns for how long no keyed event was taken, and
// how far back the log was read, by whom ever.
func (f *fleet) during(t *testing.T, disturb func()) (refused time.Duration, reads []time.Duration) {
	t.Helper()
	<-time.After(2500 * time.Millisecond) // a few beats
	f.mu.Lock()
	f.refused = 0
	f.mu.Unlock()
	before := len(f.log.readsSince(0))
	disturb()
	since := time.Now()
	taken := func() bool { // again, and it stays so
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.last.After(since.Add(4 * time.Second))
	}
	limit, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	if !backoff.Poll(limit, 10*pollEvery, func() bool { return taken() && f.ready() }) {
		f.explain(t)
		require.FailNow(t, "keyed events are still refused")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t.Logf("keyed events refused for %v, log read back to %v, %d claims settled", f.refused, f.log.readsSince(before), len(f.settled))
	return f.refused, f.log.readsSince(before)
}

// ready reports whether all buckets are, of all gateways.
func (f *fleet) ready() bool {
	wrong, err := f.gateways[0].countWrong()
	return err == nil && wrong == 0 && !slices.ContainsFunc(f.gateways, func(r *rig) bool { return !r.Ready() })
}

// explain logs what keeps buckets from being ready.
func (f *fleet) explain(t *testing.T) {
	t.Helper()
	for n, r := range f.gateways {
		seen, err := r.rebuilder(f.log).look(t.Context())
		kinds := map[string]int{}
		for _, b := range seen {
			kinds[fmt.Sprintf("server %+v, marker %q, lock %q", b.server, b.marker, b.lock)]++
		}
		t.Logf("gateway %d: %d buckets not ready, %d answer, error %v, newest generation %d", n, r.unready.count(), len(seen), err, f.reg.newest())
		for kind, count := range kinds {
			t.Logf("%d buckets: %s", count, kind)
		}
	}
}

// mustRemember stops the work and requires that each event that was written is known.
func (f *fleet) mustRemember(t *testing.T, through func() redis.Client) {
	t.Helper()
	f.stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	checker := f.gateway(t, "checker", through)
	checker.guard(t, f.log)
	require.Eventually(t, checker.Ready, patience, pollEvery)
	require.NotEmpty(t, f.settled)
	for i := 0; i < len(f.settled); i += maxBatch {
		claims := laterAttempts(f.settled[i:min(i+maxBatch, len(f.settled))])
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		results, errs := checker.ClaimAll(ctx, claims)
		cancel()
		for n := range claims {
			require.NoError(t, errs[n])
			require.NotEqual(t, event.Claimed, results[n].State, "an event would be written a second time")
		}
	}
}

// onlyTheTail requires that only what is newer than a beat was read.
func onlyTheTail(t *testing.T, reads []time.Duration) {
	t.Helper()
	require.NotEmpty(t, reads)
	for _, r := range reads {
		require.Less(t, r, clockDifference+2*patience)
		require.GreaterOrEqual(t, r, clockDifference)
	}
}

const (
	refusedForAChange = 3 * time.Second
	refusedForALoss   = 10 * time.Second
)

func TestBackupReplicaAndBacklog(t *testing.T) {
	t.Parallel()
	l := newRedisLab(t)
	rdb := l.client(t, l.addr)
	f := startFleet(t, l, 3, nil)
	replid := func() string { return parseInfo(rdb.Info(t.Context(), "replication").Val())["master_replid"] }
	change := func(do func()) {
		before := replid()
		do()
		require.Eventually(t, func() bool { return replid() != before }, patience, pollEvery)
	}
	host, port, err := net.SplitHostPort(l.addr)
	require.NoError(t, err)
	do(t, l.addr, "CONFIG", "SET", "repl-backlog-ttl", "2")

	refused, reads := f.during(t, func() {
		change(func() {
			out, err := exec.CommandContext(t.Context(), "redis-cli", "-h", host, "-p", port, "--rdb", filepath.Join(t.TempDir(), "backup.rdb")).CombinedOutput()
			if err != nil { // there is no redis-cli here: do as it does
				t.Logf("redis-cli: %v %s", err, out)
				l.change(t)
			}
		})
		change(func() {}) // its backlog ends
	})
	require.Empty(t, reads, "a backup")
	require.Less(t, refused, refusedForAChange)

	var replica *services.Redis
	refused, reads = f.during(t, func() {
		change(func() {
			var err error
			replica, err = services.StartRedis(t.Context(), services.RedisConfig{Dir: t.TempDir(), ReplicaOf: l.addr})
			require.NoError(t, err)
		})
	})
	require.Empty(t, reads, "a first replica")
	require.Less(t, refused, refusedForAChange)
	refused, reads = f.during(t, func() { change(func() { require.NoError(t, replica.Kill()) }) })
	require.Empty(t, reads, "the backlog of a replica that left")
	require.Less(t, refused, refusedForAChange)
	require.EqualValues(t, 1, f.reg.newest())
	f.mustRemember(t, nil)
}

func TestRestarts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args   []string
		before func(t *testing.T, addr string)
	}{
		"AOF": {[]string{"--appendonly", "yes", "--appendfsync", "everysec"}, func(*testing.T, string) {}},
		"snapshot": {nil, func(t *testing.T, addr string) {
			do(t, addr, "SAVE")
			<-time.After(2 * time.Second) // of writes that are lost
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ownRedis(t, c.args...)
			f := startFleet(t, lab{backend: newBackend(server.Addr(), 0)}, 3, nil)
			refused, reads := f.during(t, func() {
				c.before(t, server.Addr())
				require.NoError(t, server.Kill())
				require.NoError(t, server.Restart(t.Context()))
			})
			onlyTheTail(t, reads)
			require.Less(t, refused, refusedForALoss)
			f.mustRemember(t, nil)
		})
	}
}

func TestPromotions(t *testing.T) {
	t.Parallel()
	for name, lossy := range map[string]bool{"lossless": false, "of a replica that lacks two seconds": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			master := ownRedis(t)
			replica, err := services.StartRedis(t.Context(), services.RedisConfig{Dir: t.TempDir(), ReplicaOf: master.Addr()})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, replica.Kill()) })
			rdb := goredis.NewClient(&goredis.Options{Addr: master.Addr()})
			t.Cleanup(func() { _ = rdb.Close() })
			require.Eventually(t, func() bool { return rdb.Wait(t.Context(), 1, time.Second).Val() == 1 }, patience, pollEvery)
			p := newProxy(t, newBackend(master.Addr(), 0))
			f := startFleet(t, lab{backend: newBackend(p.addr(), 0)}, 3, nil)
			refused, reads := f.during(t, func() {
				if lossy {
					do(t, replica.Addr(), "REPLICAOF", "127.0.0.1", "1") // it hears no more of its master, and keeps what it has
					<-time.After(2 * time.Second)
				} else {
					p.cut()
					require.EqualValues(t, 1, rdb.Wait(t.Context(), 1, time.Second).Val())
				}
				require.NoError(t, master.Kill())
				do(t, replica.Addr(), "REPLICAOF", "NO", "ONE")
				if !lossy {
					p.repair(t)
				}
				p.moveTo(t, replica.Addr())
			})
			onlyTheTail(t, reads)
			require.Less(t, refused, refusedForALoss)
			f.mustRemember(t, nil)
		})
	}
}

func TestMeasuredOnCluster(t *testing.T) {
	t.Parallel()
	addrs := startCluster(t, 3)
	through := func() redis.Client { return redis.New(redis.Config{Addresses: addrs}) }
	f := startFleet(t, lab{backend: newBackend(addrs[0], 0)}, 2, through)

	node := lab{backend: newBackend(addrs[1], 0)}.promotable(t)
	refused, reads := f.during(t, func() { node.change(t) })
	require.Empty(t, reads, "a backup of a node")
	require.Less(t, refused, refusedForAChange)

	replica := addReplica(t, addrs, addrs[0])
	refused, reads = f.during(t, func() { failOver(t, replica) })
	onlyTheTail(t, reads)
	require.Less(t, refused, refusedForALoss)
	addrs[0] = replica

	_, reads = f.during(t, func() { moveSlot(t, addrs, 9) })
	require.Greater(t, slices.Max(reads), longTTL, "the bucket that moved needs the window")
	require.Less(t, slices.Min(reads), clockDifference+2*patience, "the others what is newer than a beat")

	_, reads = f.during(t, func() { do(t, addrs[2], "FLUSHALL") })
	require.Greater(t, slices.Max(reads), longTTL)
	require.Less(t, slices.Min(reads), clockDifference+2*patience)
	f.mustRemember(t, through)
}

// failOver makes a replica the master, and returns when it is.
func failOver(t *testing.T, replica string) {
	t.Helper()
	rdb := goredis.NewClient(&goredis.Options{Addr: replica})
	defer func() { _ = rdb.Close() }()
	asked := time.Time{}
	require.Eventually(t, func() bool {
		if parseInfo(rdb.Info(t.Context(), "replication").Val())["role"] == "master" {
			return true
		}
		if time.Since(asked) > 6*time.Second { // it gives up after 5 s
			asked = time.Now()
			_ = rdb.ClusterFailover(t.Context()).Err()
		}
		return false
	}, 2*patience, 50*time.Millisecond)
}

// addReplica adds a replica of a node to a Cluster, and returns when it is up to date.
func addReplica(t *testing.T, addrs []string, of string) string {
	t.Helper()
	master := goredis.NewClient(&goredis.Options{Addr: of})
	defer func() { _ = master.Close() }()
	id, err := master.Do(t.Context(), "CLUSTER", "MYID").Text()
	require.NoError(t, err)
	addr := startRedis(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "5000")
	replica := goredis.NewClient(&goredis.Options{Addr: addr})
	defer func() { _ = replica.Close() }()
	host, port, err := net.SplitHostPort(of)
	require.NoError(t, err)
	require.NoError(t, replica.ClusterMeet(t.Context(), host, port).Err())
	require.Eventually(t, func() bool { return replica.Do(t.Context(), "CLUSTER", "REPLICATE", id).Err() == nil }, patience, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		info := parseInfo(replica.Info(t.Context(), "replication").Val())
		shards, err := replica.ClusterShards(t.Context()).Result()
		return err == nil && len(shards) == len(addrs) && info["master_link_status"] == "up" && master.Wait(t.Context(), 1, time.Second).Val() == 1
	}, patience, 50*time.Millisecond)
	return addr
}

// moveSlot moves the slot of a bucket to another node, key by key.
func moveSlot(t *testing.T, addrs []string, bucket byte) {
	t.Helper()
	cluster, ok := redis.New(redis.Config{Addresses: addrs}).(*goredis.ClusterClient)
	require.True(t, ok)
	defer func() { _ = cluster.Close() }()
	moveKeys(t, cluster, addrs, bucket)
}
