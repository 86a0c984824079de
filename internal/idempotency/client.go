package idempotency

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// ClientConfig says where Redis is. Several addresses are a Cluster; with
// Master set they are Sentinels.
type ClientConfig struct {
	Addresses []string
	Master    string
	Username  string
	Password  string
	TLS       *tls.Config // nil: plain TCP
}

// Client is a connection to Redis: one server, Sentinel or Cluster.
type Client = redis.UniversalClient

const (
	dialTimeout = time.Second
	ioTimeout   = time.Second
	// poolSize: the claim lanes, the endings, take-overs and look-ups.
	poolSize = 16
)

// NewClient returns a client that the caller closes. It does not connect yet.
func NewClient(cfg ClientConfig) Client {
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: cfg.Addresses, MasterName: cfg.Master,
		Username: cfg.Username, Password: cfg.Password, TLSConfig: cfg.TLS,
		DialTimeout: dialTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout,
		PoolSize: poolSize, ContextTimeoutEnabled: true,
		MaxRetries: 1, MinRetryBackoff: 10 * time.Millisecond, MaxRetryBackoff: 50 * time.Millisecond,
		DialerRetries:   1, // the default, 5 with 100 ms between, holds a refusal up for 0.8 s
		DisableIdentity: true,
		// Only some hosted services send these; the hand-shake for them writes
		// warnings on all others.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// RouteLogs sends what go-redis logs, which is for the whole process, to
// logger. Call it once, from main.
func RouteLogs(logger *slog.Logger) { redis.SetLogger(slogAdapter{logger}) }

type slogAdapter struct{ logger *slog.Logger }

// Printf implements go-redis' logger. Its lines are details of errors that the
// gateway logs itself.
func (a slogAdapter) Printf(ctx context.Context, format string, args ...any) {
	a.logger.DebugContext(ctx, "go-redis", "text", fmt.Sprintf(format, args...))
}
