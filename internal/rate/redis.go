package rate

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/redis"
)

// keyPrefix begins all the gateway's keys in Redis; the ACL rule in docs/operations.md
// grants it.
const keyPrefix = "gw:"

// Redis is the Store that gateways share.
type Redis struct {
	rdb          redis.Client
	installation func() string
}

// NewRedis returns a Store on a client that the caller closes. installation is what
// stands in keys for the gateways that share a rate, empty as long as that is not known.
func NewRedis(rdb redis.Client, installation func() string) *Redis {
	return &Redis{rdb, installation}
}

// takeScript: KEYS = the client's count; ARGV = µs in which a token comes, burst, wanted
// tokens, how many are taken if there are fewer, and LongestWait in µs. It answers with the tokens taken,
// those that could still be taken, and the µs until there is one more.
//
// The count is the time, by Redis' clock in µs, at which all tokens would be there again if none
// were taken any more (the generic cell rate algorithm: ITU-T I.371, virtual scheduling).
// Whatever Redis replicates is the SET with its arguments, so that the clock may be read.
var takeScript = goredis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local each, burst, wanted, partial = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
full = math.min(full, now + burst * each + tonumber(ARGV[5]))
local have = burst - (full - now) / each
local whole = math.max(math.floor(have + 1e-6), 0)
local taken = wanted
if whole < wanted then taken = math.min(whole, partial) end
if taken > 0 then
  full = full + taken * each
  redis.call('SET', KEYS[1], string.format('%.2f', full), 'PX', math.ceil((full - now) / 1000) + 1)
end
return {taken, whole - taken, math.ceil((whole + 1 - have) * each)}
`)

// reserveScript is takeScript for tokens of which some may still have to come. ARGV = µs in
// which a token comes, burst, tokens, and LongestWait in µs. It answers with the µs until the
// last of them has come; if these are more than LongestWait, none is taken.
var reserveScript = goredis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local each, burst, wanted, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
full = math.min(full, now + burst * each + longest) + wanted * each
local wait = math.max(full - now - burst * each, 0)
if wait <= longest then
  redis.call('SET', KEYS[1], string.format('%.2f', full), 'PX', math.ceil((full - now) / 1000) + 1)
end
return math.ceil(wait)
`)

// Reserve implements Store.
func (r *Redis) Reserve(ctx context.Context, client string, l Limit, n int) (time.Duration, error) {
	installation := r.installation()
	if installation == "" {
		return 0, errNotKnown
	}
	key := keyPrefix + installation + ":rate:" + client
	each := float64(l.Per.Microseconds()) / float64(l.Count)
	wait, err := reserveScript.Run(ctx, r.rdb, []string{key}, each, l.Burst(), n, LongestWait.Microseconds()).Int64()
	if err != nil {
		return 0, fmt.Errorf("count calls: %w", err)
	}
	return time.Duration(wait) * time.Microsecond, nil
}

var errNotKnown = errors.New("the installation is not known yet: kafka has not answered")

// Take implements Store.
func (r *Redis) Take(ctx context.Context, client string, l Limit, n, partial int) (Grant, error) {
	installation := r.installation()
	if installation == "" {
		return Grant{}, errNotKnown
	}
	key := keyPrefix + installation + ":rate:" + client
	each := float64(l.Per.Microseconds()) / float64(l.Count)
	answer, err := takeScript.Run(ctx, r.rdb, []string{key}, each, l.Burst(), n, partial, LongestWait.Microseconds()).Int64Slice()
	if err == nil && len(answer) != 3 {
		err = fmt.Errorf("the script answered %d numbers instead of 3", len(answer))
	}
	if err != nil {
		return Grant{}, fmt.Errorf("count calls: %w", err)
	}
	g := Grant{Tokens: int(answer[0]), Left: int(answer[1])}
	if g.Tokens < n {
		g.Left, g.Wait = 0, max(time.Duration(answer[2])*time.Microsecond, time.Microsecond)
	}
	return g, nil
}
