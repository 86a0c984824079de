package rate

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// alonePause is between two looks whether the store is back.
	alonePause = time.Second
	// askTimeout ends a question that nobody waits for any more.
	askTimeout = time.Second
	// askSlots bounds the questions under way at once, so that claims, which use
	// the same connections, get theirs.
	askSlots = 6
	// minSweep is from how many clients on idle ones are forgotten.
	minSweep = 1024
)

// Store counts tokens for all gateways together.
type Store interface {
	// Take takes n tokens of a client; if there are not so many, those that there
	// are, up to partial. n is at most the limit's burst.
	Take(ctx context.Context, client string, l Limit, n, partial int) (Grant, error)
}

// Grant is a Store's answer.
type Grant struct {
	Tokens int           // taken
	Left   int           // that more could be had at once
	Wait   time.Duration // until there is one more, if fewer were taken than asked for
}

// Limits are the rates of all clients.
type Limits struct {
	Clients map[string]Limit // by name; zero: none
	Tokens  Limit            // of clients whom a token names and who have no rate of their own; zero: none
}

func (l *Limits) of(client string, byToken bool) Limit {
	own := l.Clients[client]
	if own.IsZero() && byToken {
		return l.Tokens
	}
	return own
}

// Decision is what a Limiter says of a call.
type Decision struct {
	Limit      Limit // zero: the client has none, and the rest says nothing
	Allowed    bool
	Remaining  int           // calls that would be let through now
	More       time.Duration // until there will be more; 0: all are there
	RetryAfter time.Duration // if it is not allowed
}

// Config is how a Limiter deals with a slow store.
type Config struct {
	// Wait bounds how long a call waits for the store. Then this gateway decides
	// alone, for a second or until the store answers in time.
	Wait time.Duration
}

// Limiter decides about calls. It is safe for concurrent use.
type Limiter struct {
	cfg     Config
	store   Store
	logger  *slog.Logger
	metrics *Metrics
	limits  atomic.Pointer[Limits]

	away  atomic.Bool  // the store does not answer in time
	retry atomic.Int64 // when to look again, in Unix nanoseconds

	mu      sync.Mutex
	clients map[string]*client
	sweepAt int
	closed  bool

	slots chan struct{}
	ctx   context.Context
	stop  context.CancelFunc
	tasks sync.WaitGroup
}

// client is a bucket and those who wait for it.
type client struct {
	key    string // in the store
	mu     sync.Mutex
	bucket *bucket
	wanted int           // tokens that calls wait for, and nobody has asked for yet
	single int           // of them, those of calls that cost one
	asking chan struct{} // closed when the answer is there; nil if nobody asks
	asked  int           // how many questions there were
	// reserved is for calls that waited when the question was asked: who comes while
	// they wake up must not take their tokens.
	reserved int
}

// New returns a Limiter without limits: Replace sets them.
func New(cfg Config, store Store, logger *slog.Logger, metrics *Metrics) *Limiter {
	l := &Limiter{
		cfg: cfg, store: store, logger: logger, metrics: metrics,
		clients: map[string]*client{}, sweepAt: minSweep, slots: make(chan struct{}, askSlots),
	}
	l.limits.Store(&Limits{})
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// Replace exchanges the limits. What clients have used under an old one does not
// count against a new one.
func (l *Limiter) Replace(limits Limits) { l.limits.Store(&limits) }

// Close ends questions to the store that are under way, and waits for them. Calls
// that come after it are decided alone.
func (l *Limiter) Close() {
	l.away.Store(true)
	l.stop()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.tasks.Wait()
}

// Take decides about a call that costs n tokens. More than the burst counts as the
// burst: it could never pass otherwise.
func (l *Limiter) Take(name string, byToken bool, n int) Decision {
	limit := l.limits.Load().of(name, byToken)
	if limit.IsZero() {
		return Decision{Allowed: true}
	}
	n = min(n, limit.Burst())
	now := time.Now()
	c := l.client(name, limit, now)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bucket.limit != limit {
		c.key, c.bucket = storeKey(name, limit), newBucket(limit, now)
	}
	if ok, after := c.bucket.guard.take(now, n); !ok {
		return l.refused(c, now, max(after, c.bucket.dry.Sub(now)))
	}
	return l.take(c, n, now)
}

// take decides about a call that the guard lets through. The client is locked.
func (l *Limiter) take(c *client, n int, now time.Time) Decision {
	var timeout <-chan time.Time
	reserved, overdue := c.reserved, false
	b := c.bucket
	for {
		if overdue || l.away.Load() {
			l.lookAgain(c, now)
			l.metrics.alone.Inc()
			return l.allowed(c, now)
		}
		step, after := b.use(now, n, reserved)
		switch step {
		case refuse:
			b.guard.giveBack(n)
			return l.refused(c, now, after)
		case grant:
			if c.asking == nil && b.low(now) {
				l.ask(c, now)
			}
			return l.allowed(c, now)
		case ask:
		}
		if timeout == nil {
			timer := time.NewTimer(l.cfg.Wait)
			defer timer.Stop()
			timeout = timer.C
		}
		reserved, overdue = l.await(c, n, now, timeout)
		if overdue {
			l.leave("it did not answer in time")
		}
		now = time.Now()
	}
}

// await waits for the question under way, and, if another follows that has the call
// in mind, for that one. It returns how many tokens are for others. The client is
// locked before and after.
func (l *Limiter) await(c *client, n int, now time.Time, timeout <-chan time.Time) (reserved int, overdue bool) {
	asked := c.asked
	c.want(n)
	if c.asking == nil {
		l.ask(c, now)
	}
	for {
		asking := c.asking
		c.mu.Unlock()
		select {
		case <-asking:
		case <-timeout:
			overdue = true
		}
		c.mu.Lock()
		switch {
		case c.asked == asked: // its tokens were not asked for
			c.want(-n)
			return c.reserved, overdue
		case overdue || c.asked > asked+1 || c.asking == nil:
			c.reserved -= n
			return 0, overdue
		}
	}
}

func (c *client) want(n int) {
	c.wanted += n
	if n == 1 || n == -1 {
		c.single += n
	}
}

func (l *Limiter) allowed(c *client, now time.Time) Decision {
	d := Decision{Limit: c.bucket.limit, Allowed: true}
	d.Remaining, d.More = c.bucket.remaining(now, l.away.Load())
	return d
}

func (l *Limiter) refused(c *client, now time.Time, after time.Duration) Decision {
	l.metrics.limited.Inc()
	d := Decision{Limit: c.bucket.limit, RetryAfter: after}
	d.Remaining, _ = c.bucket.remaining(now, l.away.Load())
	d.More = after
	return d
}

// client finds or makes what there is of a client.
func (l *Limiter) client(name string, limit Limit, now time.Time) *client {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.clients[name]
	if !ok {
		if len(l.clients) >= l.sweepAt {
			l.sweep(now)
		}
		c = &client{key: storeKey(name, limit), bucket: newBucket(limit, now)}
		l.clients[name] = c
	}
	return c
}

// sweep forgets idle clients, so that memory does not grow with every name that a
// token ever had. l.mu is held.
func (l *Limiter) sweep(now time.Time) {
	for name, c := range l.clients {
		if !c.mu.TryLock() {
			continue // it is in use
		}
		if c.asking == nil && c.wanted == 0 && c.reserved == 0 && c.bucket.idle(now) {
			delete(l.clients, name)
		}
		c.mu.Unlock()
	}
	l.sweepAt = max(minSweep, 2*len(l.clients))
}

// storeKey names a client's count in the store. Names may be long, or personal.
func storeKey(name string, limit Limit) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:18]) + ":" + limit.key()
}
