package rate

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// storeRetry is the interval at which a store that is away is tried again.
	storeRetry = time.Second
	// refillTimeout ends a refill that no call waits for any more.
	refillTimeout = time.Second
	// maxRefills bounds the refills in progress at once, because claims use the same
	// connections.
	maxRefills = 6
	// minSweep is how many clients there must be before idle ones are forgotten.
	minSweep = 1024
)

// Store counts tokens for all gateways together.
type Store interface {
	// Take takes n tokens of a client; if there are fewer, as many as there are, up to
	// partial. n is at most the limit's burst.
	Take(ctx context.Context, client string, l Limit, n, partial int) (Grant, error)
	// Reserve takes n tokens of a client, some of which may still have to come, and returns
	// how long that takes. If it takes longer than LongestWait, it takes none.
	Reserve(ctx context.Context, client string, l Limit, n int) (time.Duration, error)
}

// Grant is a Store's answer.
type Grant struct {
	Tokens int           // taken
	Left   int           // tokens that could still be taken
	Wait   time.Duration // until there is one more, if fewer than n were taken
}

// Limits are the rates of all clients.
type Limits struct {
	Clients map[string]Limit // by name; zero: no limit
	// Tokens are the rates of clients that tokens name, by what begins their names. No key
	// begins another one.
	Tokens map[string]Limit
}

func (l *Limits) of(client string, byToken bool) Limit {
	if !byToken {
		return l.Clients[client]
	}
	for prefix, limit := range l.Tokens {
		if strings.HasPrefix(client, prefix) {
			return limit
		}
	}
	return Limit{}
}

// Decision is what a Limiter says of a call.
type Decision struct {
	Limit      Limit // zero: the client has none, and only Allowed is set
	Allowed    bool
	Remaining  int           // calls that would be let through now
	More       time.Duration // until there will be more; 0: all are there
	RetryAfter time.Duration // if it is not allowed
	Wait       time.Duration // before it may go on, if it is allowed: until then its tokens come
}

// Config sets how a Limiter treats a slow store.
type Config struct {
	// Wait bounds how long a call waits for the store. After that this gateway decides
	// alone, until the store, which it tries once a second, answers in time.
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

// client is a bucket and the calls that wait for it.
type client struct {
	key    string // in the store
	mu     sync.Mutex
	bucket *bucket
	wanted int // tokens that calls wait for and that no refill has requested yet
	single int // of these, the tokens of calls that cost one
	// reserved tokens belong to the calls that waited when the refill began: a call that
	// comes while they wake up must not take them.
	reserved  int
	refilling chan struct{} // closed when the refill has ended; nil if none is in progress
	refills   int           // how many were begun
}

// New returns a Limiter without limits: Replace sets them.
func New(cfg Config, store Store, logger *slog.Logger, metrics *Metrics) *Limiter {
	l := &Limiter{
		cfg: cfg, store: store, logger: logger, metrics: metrics,
		clients: map[string]*client{}, sweepAt: minSweep, slots: make(chan struct{}, maxRefills),
	}
	l.limits.Store(&Limits{})
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// Replace exchanges the limits. What clients have used under an old limit does not count
// against a new one.
func (l *Limiter) Replace(limits Limits) { l.limits.Store(&limits) }

// Close ends the refills that are in progress, and waits for them. Calls that come later
// are decided without the store.
func (l *Limiter) Close() {
	l.away.Store(true)
	l.stop()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.tasks.Wait()
}

// Take decides about a call that costs n tokens, at most the burst: see Reserve.
func (l *Limiter) Take(name string, byToken bool, n int) Decision {
	return l.takeOf(name, l.limits.Load().of(name, byToken), n)
}

// minReads is the least rate of reads: a browser that opens the pages asks for several
// files at once.
const minReads = 10

// TakeRead decides about a call that only reads. Reads are counted apart from other
// calls, and may be as many, but at least 10 a second.
func (l *Limiter) TakeRead(name string, byToken bool) Decision {
	limit := l.limits.Load().of(name, byToken)
	if !limit.IsZero() && limit.over(time.Second) < minReads {
		limit = Limit{minReads, time.Second}
	}
	return l.takeOf("\x00read\x00"+name, limit, 1)
}

func (l *Limiter) takeOf(name string, limit Limit, n int) Decision {
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
			l.retryStore(c, now)
			l.metrics.alone.Inc()
			return l.allowed(c, now)
		}
		step, after := b.use(now, n, reserved)
		switch step {
		case refuse:
			b.guard.giveBack(n)
			return l.refused(c, now, after)
		case grant:
			if c.refilling == nil && b.low(now) {
				l.refill(c, now)
			}
			return l.allowed(c, now)
		case refill:
		}
		if timeout == nil {
			timer := time.NewTimer(l.cfg.Wait)
			defer timer.Stop()
			timeout = timer.C
		}
		reserved, overdue = l.await(c, n, now, timeout)
		if overdue {
			l.decideAlone("it did not answer in time")
		}
		now = time.Now()
	}
}

// await waits for the refill in progress and, if that one was not for this call, for the
// next. It returns how many tokens are reserved for other calls. The client is locked
// before and after.
func (l *Limiter) await(c *client, n int, now time.Time, timeout <-chan time.Time) (reserved int, overdue bool) {
	before := c.refills
	c.want(n)
	if c.refilling == nil {
		l.refill(c, now)
	}
	for {
		refilling := c.refilling
		c.mu.Unlock()
		select {
		case <-refilling:
		case <-timeout:
			overdue = true
		}
		c.mu.Lock()
		switch {
		case c.refills == before: // no refill requested its tokens
			c.want(-n)
			return c.reserved, overdue
		case overdue || c.refills > before+1 || c.refilling == nil:
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

// client returns the client of a name; it makes one if there is none.
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

// sweep forgets idle clients, so that memory does not grow with every name that ever
// came in a token. l.mu is held.
func (l *Limiter) sweep(now time.Time) {
	for name, c := range l.clients {
		if !c.mu.TryLock() {
			continue // it is in use
		}
		if c.refilling == nil && c.wanted == 0 && c.reserved == 0 && c.bucket.idle(now) {
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
