package publish

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics of the producer.
type Metrics struct {
	reg          prometheus.Registerer
	failures     *prometheus.CounterVec
	errors       *prometheus.CounterVec
	incarnations prometheus.Counter
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
	}
}

func (m *Metrics) watch(p *Producer) {
	f := promauto.With(m.reg)
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_kafka_queue_records", Help: "Records handed to the Kafka client and not yet acknowledged.",
	}, p.queued)
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_kafka_up", Help: "1 if Kafka answers, 0 if it does not.",
	}, func() float64 {
		if _, down := p.Reached(); down {
			return 0
		}
		return 1
	})
}
