package idempotency

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics of the claim store.
type Metrics struct {
	errors        *prometheus.CounterVec
	claimBatch    prometheus.Observer
	settle        prometheus.Observer
	lostEndings   prometheus.Counter
	missedEndings prometheus.Counter
	adopted       *prometheus.CounterVec
}

// NewMetrics registers the store's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		errors: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_redis_errors_total", Help: "Failed Redis operations: claim, take-over, look, end, adopt.",
		}, []string{"operation"}),
		claimBatch: f.NewHistogram(prometheus.HistogramOpts{
			Name: "gateway_claim_batch_size", Help: "Claims that shared one round trip to Redis.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128},
		}),
		settle: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "gateway_settle_duration_seconds",
			Help:    "Time from the end of an attempt until Redis knows of it; not on the caller's path.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
		lostEndings: f.NewCounter(prometheus.CounterOpts{
			Name: "gateway_idempotency_endings_lost_total",
			Help: "Settles, doubts and releases given up because Redis was away: their claims stay until the lease ends.",
		}),
		missedEndings: f.NewCounter(prometheus.CounterOpts{
			Name: "gateway_idempotency_endings_missed_total",
			Help: "Endings that found another attempt's claim, or none to release.",
		}),
		adopted: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_idempotency_buckets_adopted_total",
			Help: "Buckets started anew because their marker was new (a first start, an empty Redis), lost (a flush) or changed (a promotion): claims may be lost.",
		}, []string{"marker"}),
	}
}

func (m *Metrics) failed(operation string) { m.errors.WithLabelValues(operation).Inc() }
