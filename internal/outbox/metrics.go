package outbox

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are those of all relays of a gateway.
type Metrics struct {
	rows     *prometheus.CounterVec
	dead     *prometheus.CounterVec
	retried  *prometheus.CounterVec
	sessions *prometheus.CounterVec
	active   *prometheus.GaugeVec
	held     *prometheus.GaugeVec
	waiting  *prometheus.GaugeVec
	oldest   *prometheus.GaugeVec
	deadRows *prometheus.GaugeVec
	retained *prometheus.GaugeVec
	safe     *prometheus.GaugeVec
	ignored  *prometheus.CounterVec
	looked   prometheus.Counter
	delay    *prometheus.HistogramVec
	commit   prometheus.Histogram
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		rows: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_outbox_rows_total",
			Help: "Rows published, by outbox and result: written, replayed (an earlier try had written it).",
		}, []string{"outbox", "result"}),
		dead: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_outbox_dead_total", Help: "Rows that became dead rows, by outbox and reason.",
		}, []string{"outbox", "reason"}),
		retried: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_outbox_retries_total", Help: "Tries after which a row waits for another one, by outbox and reason.",
		}, []string{"outbox", "reason"}),
		sessions: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_outbox_sessions_total", Help: "Times that a relay failed and started again, by outbox and result.",
		}, []string{"outbox", "result"}),
		active: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_outbox_active", Help: "1 if this gateway's relay is the active one of the outbox.",
		}, []string{"outbox"}),
		held: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_outbox_in_memory_rows", Help: "Rows that were read and are not published yet, by outbox.",
		}, []string{"outbox"}),
		waiting: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_outbox_waiting_rows", Help: "Rows in the table, counted up to 100000; from the active relay.",
		}, []string{"outbox"}),
		oldest: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_outbox_oldest_row_seconds", Help: "Age of the oldest row in the table; from the active relay.",
		}, []string{"outbox"}),
		deadRows: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_outbox_dead_rows", Help: "Rows in the table of dead rows, counted up to 100000; from the active relay.",
		}, []string{"outbox"}),
		retained: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_outbox_retained_wal_bytes", Help: "What the replication slot keeps of the write-ahead log; from the active relay.",
		}, []string{"outbox"}),
		safe: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_outbox_safe_wal_bytes", Help: "What may be written to the write-ahead log before the slot is lost; -1: no limit. From the active relay.",
		}, []string{"outbox"}),
		ignored: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_outbox_ignored_messages_total", Help: "Messages of the write-ahead log that were emitted outside a transaction, by outbox. They are not published.",
		}, []string{"outbox"}),
		looked: f.NewCounter(prometheus.CounterOpts{
			Name: "gateway_outbox_looked_up_rows_total", Help: "Rows that were looked for in Kafka before they were tried.",
		}),
		delay: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gateway_outbox_delay_seconds", Help: "From a row's created_at to Kafka's acknowledgement, by the clocks of both.",
			Buckets: []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60, 300, 3600},
		}, []string{"outbox"}),
		commit: f.NewHistogram(prometheus.HistogramOpts{
			Name: "gateway_outbox_delete_seconds", Help: "How long a transaction took that deletes published rows.",
			Buckets: prometheus.ExponentialBuckets(.001, 2, 14),
		}),
	}
}

func (m *Metrics) note(outbox string, b *backlog) {
	m.held.WithLabelValues(outbox).Set(float64(len(b.rows)))
}

func (m *Metrics) published(outbox string, r *Row, replayed bool) {
	if replayed {
		m.rows.WithLabelValues(outbox, "replayed").Inc()
		return
	}
	m.rows.WithLabelValues(outbox, "written").Inc()
	if !r.CreatedAt.IsZero() {
		m.delay.WithLabelValues(outbox).Observe(time.Since(r.CreatedAt).Seconds())
	}
}
