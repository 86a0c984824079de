package services

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// RedisConfig describes one redis-server. Only Dir is required.
type RedisConfig struct {
	Dir  string // data and server.log; created if missing
	Port int    // 0: a free one
	// Args come last on the command line, for example "--appendonly", "yes".
	// Without them nothing is persisted: a restarted server is empty.
	Args      []string
	ReplicaOf string // host:port of the primary; "": none
	// Detached servers outlive this process; others die with it.
	Detached bool

	onStart func(procID) error
}

// Redis is a running redis-server.
type Redis struct {
	server
	port int
}

// StartRedis starts a server and returns when it answers. A replica answers
// before it has caught up with its primary.
func StartRedis(ctx context.Context, cfg RedisConfig) (*Redis, error) {
	return withPortRetry(cfg.Port != 0, func() (*Redis, error) {
		r, err := newRedis(cfg)
		if err != nil {
			return nil, err
		}
		if err := r.Restart(ctx); err != nil {
			return nil, err
		}
		return r, nil
	})
}

func newRedis(cfg RedisConfig) (*Redis, error) {
	if cfg.Dir == "" {
		return nil, errors.New("start redis: Dir is empty")
	}
	path, err := lookup("redis-server")
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start redis: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create redis directory: %w", err)
	}
	port, err := cfg.Port, error(nil)
	switch {
	case port != 0:
	case slices.Contains(cfg.Args, "--cluster-enabled"):
		port, err = FreeClusterPort()
	default:
		port, err = freePort()
	}
	if err != nil {
		return nil, err
	}
	args := []string{
		"--bind", loopback, "--port", strconv.Itoa(port), "--dir", dir, "--save", "", "--appendonly", "no",
		"--repl-diskless-sync-delay", "0", // by default it waits 5 s for more replicas
	}
	if cfg.ReplicaOf != "" {
		host, primary, err := net.SplitHostPort(cfg.ReplicaOf)
		if err != nil {
			return nil, fmt.Errorf("start redis: ReplicaOf: %w", err)
		}
		args = append(args, "--replicaof", host, primary)
	}
	r := &Redis{port: port}
	r.cmd = command{
		name: "redis", path: path, args: slices.Concat(args, cfg.Args), dir: dir, logPath: filepath.Join(dir, "server.log"),
		deathSignal: syscall.SIGKILL, detached: cfg.Detached, onStart: cfg.onStart,
	}
	r.stopSignal, r.killSignal = syscall.SIGTERM, syscall.SIGKILL
	r.probe = func(ctx context.Context, pid int) error { return probeRedis(ctx, r.Addr(), pid) }
	return r, nil
}

// Addr returns host:port. It stays the same for the server's life.
func (r *Redis) Addr() string { return addr(r.port) }

// probeRedis asks the server at addr for its pid. It fails while the server
// still loads its data, and if another process has the port.
func probeRedis(ctx context.Context, addr string, pid int) error {
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer client.Close()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping redis at %s: %w", addr, err)
	}
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return fmt.Errorf("ask redis at %s for its pid: %w", addr, err)
	}
	if !strings.Contains(info, fmt.Sprintf("\r\nprocess_id:%d\r\n", pid)) {
		return fmt.Errorf("redis at %s is another process: %w", addr, errPortTaken)
	}
	return nil
}
