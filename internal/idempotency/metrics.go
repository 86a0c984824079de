package idempotency

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics of the claim store.
type Metrics struct {
	errors             *prometheus.CounterVec
	claimBatch         prometheus.Observer
	settle             prometheus.Observer
	droppedSettlements prometheus.Counter
	missedSettlements  prometheus.Counter

	up              prometheus.Gauge
	unready         prometheus.Gauge
	renewed         prometheus.Counter
	rebuilds        *prometheus.CounterVec
	rebuilt         prometheus.Counter
	duplicates      prometheus.Counter
	rebuildDuration prometheus.Observer
	progress        *progressGauges
}

// NewMetrics registers the store's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		errors: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_redis_errors_total", Help: "Failed Redis operations: claim, take-over, look, end, check, rebuild.",
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
		droppedSettlements: f.NewCounter(prometheus.CounterOpts{
			Name: "gateway_idempotency_endings_lost_total",
			Help: "Settlements (settle, mark unknown, release) given up because Redis was away: their claims stay until the lease ends.",
		}),
		missedSettlements: f.NewCounter(prometheus.CounterOpts{
			Name: "gateway_idempotency_endings_missed_total",
			Help: "Settlements that found another attempt's claim, or none to release.",
		}),
		up: f.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_redis_up",
			Help: "1 if Redis takes claims; 0 if it, or a node of a Cluster, does not: keyed events are refused, or published without deduplication where on_store_failure says so.",
		}),
		unready: f.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_idempotency_buckets_unready",
			Help: "Buckets, of 256, whose claims may be lost or were not checked yet: their keyed events are refused until a rebuild is done.",
		}),
		renewed: f.NewCounter(prometheus.CounterOpts{
			Name: "gateway_idempotency_markers_renewed_total",
			Help: "Changes of Redis' replication id under which nothing was lost, as by a backup or a first replica: the log was not read.",
		}),
		rebuilds: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_idempotency_rebuilds_total",
			Help: "Rebuilds of lost claims by this gateway: done, overtaken (Redis or the lock changed meanwhile, started over), failed (tried again).",
		}, []string{"result"}),
		rebuilt: f.NewCounter(prometheus.CounterOpts{
			Name: "gateway_idempotency_rebuild_records_total",
			Help: "Claims that rebuilds wrote back from the log.",
		}),
		duplicates: f.NewCounter(prometheus.CounterOpts{
			Name: "gateway_idempotency_rebuild_duplicates_total",
			Help: "Records that rebuilds found in the log for an event that is elsewhere in the log too: there should be none.",
		}),
		rebuildDuration: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "gateway_idempotency_rebuild_duration_seconds",
			Help:    "Time of a finished rebuild, the wait for what may still be written included.",
			Buckets: []float64{.1, 1, 5, 15, 30, 45, 60, 90, 120, 300, 600, 1800, 3600},
		}),
		progress: newProgressGauges(f),
	}
}

// progressGauges say how far the rebuild is that this gateway takes part in or waits for.
// They are 0 while there is none.
type progressGauges struct {
	offsets, total, rate, left, topics, topicsTotal, waiting prometheus.Gauge
}

func newProgressGauges(f promauto.Factory) *progressGauges {
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: "gateway_idempotency_rebuild_" + name, Help: help})
	}
	return &progressGauges{
		offsets:     gauge("offsets_read", "Offsets of the log that the present rebuild has read, by all gateways."),
		total:       gauge("offsets", "Offsets of the log that the present rebuild reads in all; it grows until each topic's are known."),
		rate:        gauge("offsets_per_second", "Offsets that the present rebuild reads per second."),
		left:        gauge("seconds_left", "Time until the present rebuild is done at its present rate; 0 while that is not known."),
		topics:      gauge("topics_done", "Topics that the present rebuild has read to their ends."),
		topicsTotal: gauge("topics", "Topics that the present rebuild reads."),
		waiting:     gauge("partitions_waiting", "Partitions that cannot be read at present; the log and /readyz name them."),
	}
}

func (g *progressGauges) set(p Progress) {
	g.offsets.Set(float64(p.Read))
	g.total.Set(float64(p.Total))
	g.rate.Set(p.Rate)
	g.left.Set(p.Left.Seconds())
	g.topics.Set(float64(p.Done))
	g.topicsTotal.Set(float64(p.Topics))
	g.waiting.Set(float64(len(p.Waiting)))
}

func (m *Metrics) failed(operation string) { m.errors.WithLabelValues(operation).Inc() }
