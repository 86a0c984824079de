package torture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

// store is Redis, in one of three topologies, and the proxies in front of it.
//
//   - single: one server with AOF; a proxy per gateway.
//   - replica: a master and a replica; a proxy per gateway points at whichever is
//     the master, another one stands between the two.
//   - cluster: three masters with AOF; each announces the address of a proxy, which
//     all gateways share.
type store struct {
	kind     string
	servers  []*services.Redis
	proxies  [][]*proxy   // by gateway, then by server; of a cluster the same for all
	master   atomic.Int32 // of replica: index of the current master
	link     *proxy       // of replica: the proxy between the replica and its master
	attached int          // replicas that were started late
}

// appendOnly makes a claim that was answered survive a kill: the server writes its log
// before it answers.
func appendOnly() []string {
	return []string{"--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"}
}

func startStore(ctx context.Context, o *Options, dir string) (*store, error) {
	s := &store{kind: o.Redis, proxies: make([][]*proxy, o.Gateways)}
	switch o.Redis {
	case redisCluster:
		return s, s.startCluster(ctx, dir)
	case redisReplica:
		if err := s.start(ctx, services.RedisConfig{Dir: filepath.Join(dir, "redis-0"), Args: appendOnly()}); err != nil {
			return s, err
		}
		var err error
		if s.link, err = newProxy(s.servers[0].Addr()); err != nil {
			return s, err
		}
		if err := s.start(ctx, services.RedisConfig{Dir: filepath.Join(dir, "redis-1"), Args: appendOnly()}); err != nil {
			return s, err
		}
		if err := s.follow(ctx, 1); err != nil {
			return s, err
		}
	default:
		if err := s.start(ctx, services.RedisConfig{Dir: filepath.Join(dir, "redis-0"), Args: appendOnly()}); err != nil {
			return s, err
		}
	}
	for g := range s.proxies {
		p, err := newProxy(s.servers[0].Addr())
		if err != nil {
			return s, err
		}
		s.proxies[g] = []*proxy{p}
	}
	return s, nil
}

func (s *store) start(ctx context.Context, cfg services.RedisConfig) error {
	r, err := services.StartRedis(ctx, cfg)
	if err == nil {
		s.servers = append(s.servers, r)
	}
	return err
}

const clusterNodes = 3

// startCluster starts three masters that announce their proxies' ports, and
// gives each a third of the slots.
func (s *store) startCluster(ctx context.Context, dir string) error {
	var shared []*proxy
	for i := range clusterNodes {
		port, err := services.FreeClusterPort()
		if err != nil {
			return err
		}
		p, err := newProxy(loopback(port))
		if err != nil {
			return err
		}
		shared = append(shared, p)
		args := append(appendOnly(), "--cluster-enabled", "yes", "--cluster-node-timeout", "3000",
			"--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", strconv.Itoa(p.port()), "--cluster-announce-bus-port", strconv.Itoa(port+10000))
		if err := s.start(ctx, services.RedisConfig{Dir: filepath.Join(dir, fmt.Sprintf("redis-%d", i)), Port: port, Args: args}); err != nil {
			return err
		}
	}
	for g := range s.proxies {
		s.proxies[g] = shared
	}
	const slots = 16384
	for i, r := range s.servers {
		_, port, err := net.SplitHostPort(r.Addr())
		if err != nil {
			return fmt.Errorf("start redis cluster: %w", err)
		}
		bus, _ := strconv.Atoi(port) // services made it
		for _, cmd := range [][]any{
			{"cluster", "addslotsrange", i * slots / clusterNodes, (i+1)*slots/clusterNodes - 1},
			{"cluster", "set-config-epoch", i + 1},
			{"cluster", "meet", "127.0.0.1", s.proxies[0][0].port(), busPort(s.servers[0])},
		} {
			if i == 0 && cmd[1] == "meet" {
				continue
			}
			if err := s.do(ctx, i, cmd...); err != nil {
				return fmt.Errorf("start redis cluster, port %d: %w", bus, err)
			}
		}
	}
	return s.waitCluster(ctx)
}

func busPort(r *services.Redis) int {
	_, port, _ := net.SplitHostPort(r.Addr()) // services made it
	n, _ := strconv.Atoi(port)
	return n + 10000
}

// do sends one command to a server, past the proxies.
func (s *store) do(ctx context.Context, server int, args ...any) error {
	_, err := s.ask(ctx, server, args...)
	return err
}

func (s *store) ask(ctx context.Context, server int, args ...any) (string, error) {
	client := s.client(server)
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	reply, err := client.Do(ctx, args...).Result()
	if err != nil {
		return "", fmt.Errorf("%v: %w", args, err)
	}
	return fmt.Sprint(reply), nil
}

// client asks a server, past the proxies. The caller closes it.
func (s *store) client(server int) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.servers[server].Addr(), MaxRetries: -1})
}

// waitFor polls a server's INFO or CLUSTER INFO for a line.
func (s *store) waitFor(ctx context.Context, server int, line string, question ...any) error {
	const limit = time.Minute
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		text, err := s.ask(ctx, server, question...)
		if err == nil && strings.Contains(text, line) {
			return nil
		}
		if !backoff.Sleep(ctx, 50*time.Millisecond) {
			return errors.Join(fmt.Errorf("redis %d: %s does not come", server, line), err)
		}
	}
}

func (s *store) waitCluster(ctx context.Context) error {
	for i := range s.servers {
		if err := s.waitFor(ctx, i, "cluster_state:ok", "cluster", "info"); err != nil {
			return err
		}
		if err := s.waitFor(ctx, i, fmt.Sprintf("cluster_known_nodes:%d", clusterNodes), "cluster", "info"); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) waitReplica(ctx context.Context) error {
	return s.waitFor(ctx, 1-s.present(), "master_link_status:up", "info", "replication")
}

// addresses are what a gateway is given.
func (s *store) addresses(gateway int) []string {
	addrs := make([]string, len(s.proxies[gateway]))
	for i, p := range s.proxies[gateway] {
		addrs[i] = p.addr()
	}
	return addrs
}

// present is the index of the master, to which gateways are sent.
func (s *store) present() int { return int(s.master.Load()) }

// failOver makes the replica the master, as an orchestrator does that has found the
// master dead: kill the master, promote the replica, send all gateways to it.
func (s *store) failOver(ctx context.Context) error {
	old := s.present()
	if err := s.servers[old].Kill(); err != nil {
		return err
	}
	s.master.Store(int32(1 - old))
	if err := s.do(ctx, s.present(), "replicaof", "no", "one"); err != nil {
		return err
	}
	for _, ps := range s.proxies {
		ps[0].retarget(s.servers[s.present()].Addr())
	}
	s.link.heal()
	s.link.retarget(s.servers[s.present()].Addr())
	return nil
}

// rejoin starts the lost master again, as a replica.
func (s *store) rejoin(ctx context.Context) error {
	other := 1 - s.present()
	if err := s.servers[other].Restart(ctx); err != nil {
		return err
	}
	return s.follow(ctx, other)
}

// follow makes a server the replica and waits until it has all data. A server that
// restarts has forgotten that it was a replica.
func (s *store) follow(ctx context.Context, server int) error {
	if err := s.do(ctx, server, "replicaof", "127.0.0.1", s.link.port()); err != nil {
		return err
	}
	return s.waitReplica(ctx)
}

func (s *store) close() {
	for _, r := range s.servers {
		_ = r.Kill()
	}
	seen := map[*proxy]bool{nil: true}
	for _, ps := range append(s.proxies, []*proxy{s.link}) {
		for _, p := range ps {
			if !seen[p] {
				seen[p] = true
				p.close()
			}
		}
	}
}
