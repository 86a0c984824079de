package rate

import (
	"context"
	"errors"
	"math"
	"time"
)

// LongestWait bounds how long a call of several tokens may have to wait for them.
const LongestWait = 10 * time.Second

// Largest is how many tokens one call may cost: the burst, and what comes in LongestWait.
func (l Limit) Largest() int { return l.Burst() + l.in(LongestWait, math.Floor) }

// Reserve decides about a call that costs n tokens, of which some are paid already. It
// may cost more than the burst: then it is allowed after Decision.Wait, and takes the
// tokens that come until then. A call that costs more than the limit's Largest never
// passes: it is refused with a RetryAfter of 0.
//
// So over any time a client gets its rate and one burst, however large its calls are and
// whenever they come.
func (l *Limiter) Reserve(name string, byToken bool, n, paid int) Decision {
	limit := l.limits.Load().of(name, byToken)
	cost := n - paid
	switch {
	case limit.IsZero() || cost <= 0:
		return Decision{Allowed: true}
	case n > limit.Largest():
		return Decision{Limit: limit}
	}
	if cost <= limit.Burst() {
		if d := l.Take(name, byToken, cost); d.Allowed {
			return d
		}
	}
	now := time.Now()
	c := l.client(name, limit, now)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bucket.limit != limit {
		c.key, c.bucket = storeKey(name, limit), newBucket(limit, now)
	}
	wait, ok := c.bucket.guard.reserve(now, cost)
	if !ok {
		return l.refused(c, now, wait)
	}
	if !l.away.Load() {
		c.mu.Unlock()
		together, err := l.reserveInStore(c.key, limit, cost)
		c.mu.Lock()
		switch {
		case err != nil: // this gateway decides alone
		case together > LongestWait:
			c.bucket.guard.giveBack(cost)
			return l.refused(c, now, together-LongestWait)
		default:
			wait = max(wait, together)
		}
	}
	d := l.allowed(c, now)
	d.Wait = wait
	return d
}

// reserveInStore returns how long the call has to wait, in the store's opinion.
func (l *Limiter) reserveInStore(key string, limit Limit, n int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(l.ctx, l.cfg.Wait)
	defer cancel()
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		return 0, errors.New("too many refills are under way")
	}
	wait, err := l.store.Reserve(ctx, key, limit, n)
	if err != nil {
		l.decideAlone(err.Error())
	}
	return wait, err
}

// reserve takes n tokens, some of which may still have to come: it returns how long that
// takes. If it takes longer than LongestWait, it takes none and returns when it would not.
func (g *guard) reserve(now time.Time, n int) (wait time.Duration, ok bool) {
	if missing := float64(n) - g.have(now); missing > 0 {
		wait = g.limit.span(missing)
	}
	if wait > LongestWait {
		return wait - LongestWait, false
	}
	g.tokens -= float64(n)
	return wait, true
}
