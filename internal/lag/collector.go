package lag

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"eventgateway/internal/backoff"
)

const (
	// LeaseTime is how long another process waits for one that has died with the lease.
	LeaseTime = 15 * time.Second
	// leaseInterval is between two calls of Hold.
	leaseInterval = LeaseTime / 3
	// leaseTimeout bounds one.
	leaseTimeout = 2 * time.Second
	// passTimeout bounds one pass: brokers that do not answer by then are not waited for.
	passTimeout = 30 * time.Second
	// restAfter is how many times as long as a pass the pause after it is, at least: Kafka
	// spends at most a tenth of the time with one.
	restAfter = 9
	// restPerGroup is how much pause each group costs: 2,000 groups are asked for every 10 s.
	restPerGroup = 5 * time.Millisecond
	// staleAfter is how many pauses, and staleLeast how long at least, metrics show a pass after which
	// none succeeded.
	staleAfter = 3
	staleLeast = time.Minute
)

// Lease is what only one collector of many has.
type Lease interface {
	Hold(ctx context.Context) (bool, error)
	Release(ctx context.Context) error
}

// CollectorConfig says how often a collector asks, and how much it shows.
type CollectorConfig struct {
	Interval  time.Duration // the least pause between two passes
	MaxSeries int           // of metrics about groups
}

// Collector makes passes in the one process of many that has the lease, and shows the last
// one as metrics.
type Collector struct {
	cfg     CollectorConfig
	monitor *Monitor
	lease   Lease
	logger  *slog.Logger
	metrics *metrics

	held   atomic.Bool
	wake   chan struct{} // gets a value when the lease is gained
	shown  atomic.Pointer[snapshot]
	failed bool // the last pass has
}

// snapshot is a pass as metrics show it.
type snapshot struct {
	report *Report
	stale  time.Time // from when it is not shown any more
	rows   []metricRow
}

// NewCollector returns a collector whose metrics are registered. Run starts it.
func NewCollector(cfg CollectorConfig, monitor *Monitor, lease Lease, logger *slog.Logger, reg prometheus.Registerer) *Collector {
	c := &Collector{cfg: cfg, monitor: monitor, lease: lease, logger: logger, wake: make(chan struct{}, 1)}
	c.metrics = newMetrics(reg, c)
	return c
}

// Run makes passes whenever this process has the lease, until ctx ends.
func (c *Collector) Run(ctx context.Context) {
	var holding sync.WaitGroup
	holding.Go(func() { c.hold(ctx) })
	defer func() {
		holding.Wait()
		c.shown.Store(nil)
	}()
	for {
		pause := c.cfg.Interval
		if c.held.Load() {
			pause = c.pass(ctx)
		} else if c.shown.Swap(nil) != nil {
			c.monitor.Reset() // another process goes on
		}
		c.metrics.interval.Set(pause.Seconds())
		if !c.rest(ctx, pause) {
			return
		}
	}
}

// rest waits for the pause, or for the lease. It is false once ctx ends.
func (c *Collector) rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.wake:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// hold keeps the lease, or waits for it, and gives it back in the end.
func (c *Collector) hold(ctx context.Context) {
	for {
		asking, cancel := context.WithTimeout(ctx, leaseTimeout)
		held, err := c.lease.Hold(asking)
		cancel()
		switch {
		case ctx.Err() != nil:
		case err != nil:
			// Redis is away: whoever has made passes goes on, and nobody else begins.
			c.logger.Debug("the lease for consumer lag is not known", "error", err)
		case held != c.held.Swap(held):
			c.metrics.polling.Set(b2f(held))
			c.logger.Info("consumer lag is asked for by one gateway", "this_one", held)
			if held {
				select {
				case c.wake <- struct{}{}:
				default:
				}
			}
		}
		if !backoff.Sleep(ctx, leaseInterval) {
			break
		}
	}
	if c.held.Swap(false) {
		c.metrics.polling.Set(0)
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTimeout)
		defer cancel()
		if err := c.lease.Release(ending); err != nil {
			c.logger.Debug("the lease for consumer lag was not given back", "error", err)
		}
	}
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// pass makes one pass and returns how long to rest after it.
func (c *Collector) pass(ctx context.Context) time.Duration {
	limited, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	begun := time.Now()
	report, err := c.monitor.Pass(limited)
	took := time.Since(begun)
	if ctx.Err() != nil {
		return 0
	}
	pause := max(c.cfg.Interval, restAfter*took)
	c.metrics.took.Set(took.Seconds())
	if err != nil {
		c.metrics.passes.WithLabelValues("failed").Inc()
		if !c.failed {
			c.logger.Warn("consumer lag cannot be read", "error", err)
		}
		c.failed = true
		return pause
	}
	if c.failed {
		c.logger.Info("consumer lag can be read again")
	}
	c.failed = false
	result := "complete"
	if len(report.Unanswered) > 0 {
		result = "partial"
	}
	c.metrics.passes.WithLabelValues(result).Inc()
	pause = max(pause, restPerGroup*time.Duration(len(report.Groups)))
	c.shown.Store(newSnapshot(report, time.Now().Add(max(staleLeast, staleAfter*pause)), c.cfg.MaxSeries))
	return pause
}

// current is what metrics show; nil if this process makes no passes, or none succeeded
// lately.
func (c *Collector) current() *snapshot {
	if s := c.shown.Load(); s != nil && time.Now().Before(s.stale) {
		return s
	}
	return nil
}
