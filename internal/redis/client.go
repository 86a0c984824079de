package redis

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Config says where Redis is. Several addresses are nodes of a Cluster, or, with Master
// set, Sentinels.
type Config struct {
	Addresses []string
	Cluster   bool // also with one address, which names the others
	Master    string
	Username  string
	Password  string
	TLS       *tls.Config // nil: plain TCP
}

// Client is a client of Redis: of one server, of Sentinel's master, or of a Cluster.
type Client = goredis.UniversalClient

const (
	// PoolSize is how many connections a client opens to a server: enough for the claim
	// scripts, the settle queue, take-overs, look-ups, and the rate limiter's refills.
	PoolSize = 16
	// DialTimeout bounds one attempt to connect.
	DialTimeout = time.Second
	// IOTimeout bounds one write and one read on a connection.
	IOTimeout = time.Second
)

// New returns a client, which the caller closes. It does not connect yet.
func New(cfg Config) Client {
	return goredis.NewUniversalClient(&goredis.UniversalOptions{
		Addrs: cfg.Addresses, MasterName: cfg.Master, IsClusterMode: cfg.Cluster,
		Username: cfg.Username, Password: cfg.Password, TLSConfig: cfg.TLS,
		DialTimeout: DialTimeout, ReadTimeout: IOTimeout, WriteTimeout: IOTimeout,
		PoolSize: PoolSize, ContextTimeoutEnabled: true,
		MaxRetries: 1, MinRetryBackoff: 10 * time.Millisecond, MaxRetryBackoff: 50 * time.Millisecond,
		DialerRetries:   1, // the default, 5 with 100 ms between, delays the error of a refused connection by 0.8 s
		DisableIdentity: true,
		// Only some hosted services send these notifications. On all others, the
		// handshake for them logs warnings.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// RouteLogs sends the log lines of go-redis, which has one logger per process, to
// logger. Call it once, from main.
func RouteLogs(logger *slog.Logger) { goredis.SetLogger(slogAdapter{logger}) }

type slogAdapter struct{ logger *slog.Logger }

// Printf implements go-redis' logger. Its lines are details of errors that the
// gateway logs itself.
func (a slogAdapter) Printf(ctx context.Context, format string, args ...any) {
	a.logger.DebugContext(ctx, "go-redis", "text", fmt.Sprintf(format, args...))
}
