package services

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// SentinelConfig describes one Redis Sentinel, which alone decides that its master
// is dead. Dir, Master and Name are required.
type SentinelConfig struct {
	Dir    string // its configuration, which it rewrites, and server.log; created if missing
	Master string // host:port
	Name   string // by which it knows the master
	// Lines are more lines of its configuration, for example
	// "sentinel down-after-milliseconds gateways 1000".
	Lines []string
}

// StartSentinel starts a sentinel and returns when it answers.
func StartSentinel(ctx context.Context, cfg SentinelConfig) (*Redis, error) {
	return withPortRetry(false, func() (*Redis, error) {
		s, err := newSentinel(cfg)
		if err != nil {
			return nil, err
		}
		if err := s.Restart(ctx); err != nil {
			return nil, err
		}
		return s, nil
	})
}

func newSentinel(cfg SentinelConfig) (*Redis, error) {
	host, port, err := net.SplitHostPort(cfg.Master)
	if err != nil || cfg.Name == "" {
		return nil, errors.Join(errors.New("start sentinel: needs Master and Name"), err)
	}
	s, err := newRedis(RedisConfig{Dir: cfg.Dir})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(s.cmd.dir, "sentinel.conf")
	lines := append([]string{
		"bind " + loopback, fmt.Sprintf("port %d", s.port), "dir " + s.cmd.dir,
		fmt.Sprintf("sentinel monitor %s %s %s 1", cfg.Name, host, port),
	}, cfg.Lines...)
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write sentinel configuration: %w", err)
	}
	s.cmd.name, s.cmd.args = "sentinel", []string{file, "--sentinel"}
	return s, nil
}
