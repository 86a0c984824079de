package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Lease is work that one process of many does. It is a courtesy, and guards nothing: after
// a pause of its holder, or a failover of Redis, two may do the work for a moment.
type Lease struct {
	rdb   Client
	key   func() string
	token string
	time  time.Duration
}

// NewLease returns a lease that nobody holds yet. key is its name in Redis, empty as long as
// that is not known; after so long without [Lease.Hold], another process may have it.
func NewLease(rdb Client, key func() string, duration time.Duration) *Lease {
	return &Lease{rdb: rdb, key: key, token: rand.Text(), time: duration}
}

// holdScript: KEYS = the lease; ARGV = token, time in ms.
var holdScript = goredis.NewScript(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`)

// releaseScript: KEYS = the lease; ARGV = token.
var releaseScript = goredis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`)

var errNoKey = errors.New("its key is not known yet")

// Hold takes the lease if it is free, or prolongs it. It is false if another process has
// it. With an error, nobody knows.
func (l *Lease) Hold(ctx context.Context) (bool, error) {
	key := l.key()
	if key == "" {
		return false, errNoKey
	}
	held, err := holdScript.Run(ctx, l.rdb, []string{key}, l.token, l.time.Milliseconds()).Bool()
	if err != nil {
		return false, fmt.Errorf("hold lease: %w", err)
	}
	return held, nil
}

// Release lets another process have it at once.
func (l *Lease) Release(ctx context.Context) error {
	if err := releaseScript.Run(ctx, l.rdb, []string{l.key()}, l.token).Err(); err != nil {
		return fmt.Errorf("release lease: %w", err)
	}
	return nil
}
