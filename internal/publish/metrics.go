package publish

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// The scopes of gateway_kafka_given_up_total.
const (
	givenUpPartition = "partition"
	givenUpProducer  = "producer"
)

// Metrics of the producer.
type Metrics struct {
	reg          prometheus.Registerer
	failures     *prometheus.CounterVec
	errors       *prometheus.CounterVec
	incarnations prometheus.Counter
	givenUp      *prometheus.CounterVec
	quarantined  *prometheus.GaugeVec
	transactions *prometheus.CounterVec
	groupRecords prometheus.Observer
	fences       *prometheus.CounterVec
	txStarts     *prometheus.CounterVec
	recoveries   *prometheus.CounterVec
	recoveryTime prometheus.Observer
}

// NewMetrics registers the producer's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		reg: reg,
		failures: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_kafka_publish_failures_total",
			Help: "Records that were not acknowledged, by outcome (not-written, unknown) and Kafka error.",
		}, []string{"outcome", "error"}),
		errors: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_kafka_errors_total",
			Help: "Errors of the Kafka client that concern no single record, such as a lost connection.",
		}, []string{"error"}),
		incarnations: f.NewCounter(prometheus.CounterOpts{
			Name: "gateway_kafka_producer_replacements_total",
			Help: "Times the Kafka producer was replaced by a new one.",
		}),
		givenUp: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_kafka_given_up_total",
			Help: "Times records in flight were given up with an unknown outcome: of one partition, or of a whole producer.",
		}, []string{"scope"}),
		quarantined: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_kafka_quarantined",
			Help: "1 for a topic that Kafka refuses, or of which a partition does not acknowledge: its events are refused, but for a probe now and then.",
		}, []string{"topic", "reason"}),
		transactions: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_kafka_transactions_total",
			Help: "Kafka transactions by how they ended: committed, aborted (records that were not refused went again), unknown (the producer was given up).",
		}, []string{"result"}),
		groupRecords: f.NewHistogram(prometheus.HistogramOpts{
			Name: "gateway_kafka_transaction_records", Help: "Records in one Kafka transaction.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000},
		}),
		fences: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_kafka_fences_total",
			Help: "Transactional producers that were to be fenced: fenced, failed (tried again when it is needed).",
		}, []string{"result"}),
		txStarts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_kafka_transactional_starts_total",
			Help: "Transactional producers that were to be started: started, failed (tried again every second).",
		}, []string{"result"}),
		recoveries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_recovery_reads_total",
			Help: "Looks in the log for what an abandoned claim may have written: found, absent, undecided (the log cannot tell yet), failed.",
		}, []string{"result"}),
		recoveryTime: f.NewHistogram(prometheus.HistogramOpts{
			Name: "gateway_recovery_read_duration_seconds", Help: "Time that one look took, waiting for its turn included.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
	}
}

func (m *Metrics) recovered(found bool, err error, took time.Duration) {
	result := "absent"
	var undecided errUndecided
	switch {
	case errors.As(err, &undecided):
		result = "undecided"
	case err != nil:
		result = "failed"
	case found:
		result = "found"
	}
	m.recoveries.WithLabelValues(result).Inc()
	m.recoveryTime.Observe(took.Seconds())
}

func (m *Metrics) watch(p *Producer) {
	f := promauto.With(m.reg)
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_kafka_queue_records", Help: "Records handed to the Kafka client and not yet acknowledged.",
	}, func() float64 { return float64(p.queued()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_kafka_up", Help: "1 if Kafka answers, 0 if it does not.",
	}, func() float64 {
		if _, down := p.Reached(); down {
			return 0
		}
		return 1
	})
}
