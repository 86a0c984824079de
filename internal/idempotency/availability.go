package idempotency

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/redis"
)

const (
	// awayAfter is how many failures in a row mean that Redis takes no claims. A single
	// one may be a connection that was cut, or a moment in which Redis was busy.
	awayAfter = 3
	// probeInterval is between two probes while all is well, probeSoon after a failure.
	probeInterval = time.Second
	probeSoon     = 200 * time.Millisecond
	// probeTimeout bounds one probe. A Redis that needs longer for it makes claims fail,
	// too.
	probeTimeout = redis.IOTimeout
)

var errNotAsked = errors.New("redis has not been asked yet")

// availability is a circuit breaker: it knows whether Redis takes claims. While it does
// not, claims are refused at once instead of each waiting for a timeout, and probes find
// out in the background when that is over. No event serves as a probe, as it would in the
// usual circuit breakers: it might wait for the timeout.
//
// A single server has one circuit. In a Cluster each bucket has its own, because its
// nodes fail one by one.
type availability struct {
	scripts *scriptRunner
	logger  *slog.Logger
	metrics *Metrics

	watched  atomic.Bool   // by watch: otherwise nobody would notice that Redis is back
	answered atomic.Bool   // Redis took a claim or a probe once
	opened   chan struct{} // asks for a probe
	circuits [bucketCount]circuit
	refusal  atomic.Pointer[event.StoreAway] // of claims; set before a circuit opens
	// unsuitable is the refusal of claims by a Redis that cannot keep any; nil: it can.
	unsuitable atomic.Pointer[event.StoreAway]
	learned    atomic.Int64 // when that was asked, Unix nanoseconds

	mu    sync.Mutex // for what follows, and while a circuit changes
	open  int        // circuits
	since time.Time  // the first of them was opened
	cause error
}

// circuit counts failures in a row. It is open from awayAfter on.
type circuit struct{ failures atomic.Int32 }

func (c *circuit) isOpen() bool { return c.failures.Load() >= awayAfter }

func newAvailability(scripts *scriptRunner, logger *slog.Logger, metrics *Metrics) *availability {
	return &availability{scripts: scripts, logger: logger, metrics: metrics, opened: make(chan struct{}, 1)}
}

func (a *availability) circuitOf(bucket byte) *circuit {
	if !a.scripts.cluster {
		bucket = 0
	}
	return &a.circuits[bucket]
}

// refuse is an *event.StoreAway if Redis is known to take no claims of this bucket.
func (a *availability) refuse(bucket byte) error {
	if never := a.unsuitable.Load(); never != nil {
		return never
	}
	if !a.circuitOf(bucket).isOpen() || !a.watched.Load() {
		return nil
	}
	return a.refusal.Load()
}

// note learns from a claim or a probe of the bucket.
func (a *availability) note(bucket byte, err error) {
	c := a.circuitOf(bucket)
	if err == nil && c.failures.Load() == 0 && a.answered.Load() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	wasOpen := c.isOpen()
	if err == nil {
		c.failures.Store(0)
		a.closed(wasOpen)
		return
	}
	a.cause = err
	a.refusal.Store(&event.StoreAway{Cause: err})
	if c.failures.Add(1); !wasOpen && c.isOpen() {
		a.opens()
	}
}

// opens begins an outage with the first circuit that opens.
func (a *availability) opens() {
	if a.open++; a.open > 1 {
		return
	}
	a.since = time.Now()
	a.metrics.up.Set(0)
	if a.watched.Load() {
		a.logger.Error("redis takes no claims: events with an idempotency key are refused (503, not written), or published without deduplication where on_store_failure says so, until it does; others are not affected",
			"error", a.cause)
	}
	select {
	case a.opened <- struct{}{}:
	default:
	}
}

// closed ends the outage with the last circuit.
func (a *availability) closed(wasOpen bool) {
	a.answered.Store(true)
	if wasOpen {
		a.open--
	}
	if a.open > 0 {
		return
	}
	a.metrics.up.Set(1)
	if wasOpen && a.watched.Load() {
		a.logger.Info("redis takes claims again", "away_for", time.Since(a.since).Round(time.Millisecond))
	}
}

// state says how many buckets take no claims, and why.
func (a *availability) state() (buckets int, cause error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch never := a.unsuitable.Load(); {
	case never != nil:
		return bucketCount, never.Cause
	case !a.answered.Load() && a.cause == nil:
		return bucketCount, errNotAsked
	case !a.answered.Load():
		return bucketCount, a.cause
	case a.open == 0:
		return 0, nil
	case !a.scripts.cluster:
		return bucketCount, a.cause
	}
	return a.open, a.cause
}

// watch probes Redis until ctx ends.
func (a *availability) watch(ctx context.Context) {
	a.watched.Store(true)
	defer a.watched.Store(false)
	for ctx.Err() == nil {
		if a.unsuitable.Load() != nil || time.Since(time.Unix(0, a.learned.Load())) >= suitableInterval {
			a.learnSuitable(ctx)
		}
		interval := probeInterval
		if !a.probe(ctx) {
			interval = probeSoon
		}
		timer := time.NewTimer(interval)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-a.opened:
			backoff.Sleep(ctx, probeSoon)
		}
		timer.Stop()
	}
}

// probeAvailability: KEYS = a key that never exists. It does what a claim does, but changes
// nothing: a Redis that answers may refuse every write, for lack of memory for example.
var probeAvailability = goredis.NewScript(luaReplid + luaNow + `
redis.call('SET', KEYS[1], now, 'XX', 'PX', 1)
return replid
`)

// probe asks every node whether it takes claims, and reports whether all do.
func (a *availability) probe(ctx context.Context) (all bool) {
	probing, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	buckets := allBuckets()
	if !a.scripts.cluster {
		buckets = buckets[:1]
	}
	err := a.scripts.run(probing, len(buckets), probeAvailability,
		func(i int) ([]string, []any) { return []string{probeKey(buckets[i])}, nil },
		func(i int, cmd *goredis.Cmd) {
			if ctx.Err() == nil { // otherwise the gateway stops, which says nothing about Redis
				a.note(buckets[i], cmd.Err())
			}
		})
	return err == nil
}

// Availability is what keyed events meet now.
type Availability struct {
	// Away says why Redis takes no claims, of AwayBuckets of Buckets; nil if it does.
	Away        error
	AwayBuckets int
	// Unconfirmed says why Kafka keeps this gateway from making claims; nil if it does not.
	Unconfirmed error
	// Lost counts the buckets whose claims may be lost: they are rebuilt from the log.
	Lost    int
	Buckets int
	// Rebuild is how far that is, nil if it is not known.
	Rebuild *RebuildState
}

// Availability says whether claims can be made now. It asks nobody: [Store.Watch] does.
func (s *Store) Availability() Availability {
	now := Availability{Lost: s.unready.count(), Buckets: bucketCount, Unconfirmed: s.member.trouble(failpoint.Now())}
	now.AwayBuckets, now.Away = s.available.state()
	if now.Lost > 0 {
		now.Rebuild = s.rebuild.now()
	}
	return now
}

// Watch probes Redis until ctx ends, and lets claims be refused at once while it takes
// none.
func (s *Store) Watch(ctx context.Context) { s.available.watch(ctx) }
