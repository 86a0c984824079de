package rate

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/go-redis/redis_rate/v10"
	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/redis"
)

// keyPrefix begins all the gateway's keys in Redis; the ACL rule in docs/operations.md
// grants it.
const keyPrefix = "gw:"

// Redis is the Store that gateways share.
type Redis struct{ limiter *redis_rate.Limiter }

// NewRedis returns a Store on a client that the caller closes.
func NewRedis(rdb redis.Client) *Redis {
	return &Redis{redis_rate.NewLimiter(prefixed{rdb})}
}

// Take implements Store. It does not use AllowAtMost, which charges for fractions of
// tokens that it does not grant: under contention much of a rate would be lost.
func (r *Redis) Take(ctx context.Context, client string, l Limit, n, partial int) (Grant, error) {
	limit := redis_rate.Limit{Rate: l.Count, Burst: l.Burst(), Period: l.Per}
	first, err := r.limiter.AllowN(ctx, client, limit, n)
	if err != nil {
		return Grant{}, fmt.Errorf("count calls: %w", err)
	}
	if first.Allowed == n {
		return Grant{Tokens: n, Left: first.Remaining}, nil
	}
	// RetryAfter is how long it takes until there are n.
	have := max(float64(n)-l.over(first.RetryAfter), 0)
	missing := l.span(math.Floor(have) + 1 - have)
	take := min(int(have), partial)
	if take == 0 {
		return Grant{Wait: max(missing, time.Microsecond)}, nil
	}
	second, err := r.limiter.AllowN(ctx, client, limit, take)
	if err != nil {
		return Grant{}, fmt.Errorf("count calls: %w", err)
	}
	if second.Allowed == 0 { // another gateway was faster
		return Grant{Wait: l.span(1)}, nil
	}
	return Grant{Tokens: take, Left: second.Remaining, Wait: missing}, nil
}

// prefixed adds the gateway's prefix to the keys of the library.
type prefixed struct{ redis.Client }

// Eval implements what redis_rate runs its scripts on.
func (p prefixed) Eval(ctx context.Context, script string, keys []string, args ...any) *goredis.Cmd {
	return p.Client.Eval(ctx, script, withPrefix(keys), args...)
}

// EvalSha implements what redis_rate runs its scripts on.
func (p prefixed) EvalSha(ctx context.Context, sha1 string, keys []string, args ...any) *goredis.Cmd {
	return p.Client.EvalSha(ctx, sha1, withPrefix(keys), args...)
}

func withPrefix(keys []string) []string {
	prefixed := make([]string, len(keys))
	for i, key := range keys {
		prefixed[i] = keyPrefix + key
	}
	return prefixed
}
