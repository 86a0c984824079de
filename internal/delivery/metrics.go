package delivery

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"eventgateway/internal/delivery/endpoint"
)

// Metrics are those of all subscriptions. Their label is the subscription's name, of
// which the configuration has few.
type Metrics struct {
	attempts           *prometheus.CounterVec
	duration           *prometheus.HistogramVec
	latency            *prometheus.HistogramVec
	skipped            *prometheus.CounterVec
	deadLetters        *prometheus.CounterVec
	deadLetterFailures *prometheus.CounterVec
	commits            *prometheus.CounterVec
	fetchPauses        *prometheus.CounterVec
	foreignMetadata    *prometheus.CounterVec
	readFailures       *prometheus.CounterVec

	partitions *prometheus.GaugeVec
	inFlight   *prometheus.GaugeVec
	window     *prometheus.GaugeVec
	bytes      *prometheus.GaugeVec
	failing    *prometheus.GaugeVec
	held       *prometheus.GaugeVec
	breaker    *prometheus.GaugeVec
	paused     *prometheus.GaugeVec
	lost       *prometheus.GaugeVec
	oldest     *prometheus.GaugeVec
	retryAge   *prometheus.GaugeVec
	margin     *prometheus.GaugeVec
}

// NewMetrics registers the metrics of subscriptions.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	const prefix = "gateway_subscription_"
	counter := func(name, help string, more ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, append([]string{"subscription"}, more...))
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return f.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + name, Help: help}, []string{"subscription"})
	}
	histogram := func(name, help string, buckets []float64) *prometheus.HistogramVec {
		return f.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + name, Help: help, Buckets: buckets}, []string{"subscription"})
	}
	return &Metrics{
		attempts:           counter("attempts_total", "Attempts to deliver an event, by what became of them.", "class"),
		duration:           histogram("attempt_seconds", "How long attempts took.", prometheus.ExponentialBuckets(0.002, 2, 14)),
		latency:            histogram("delivery_seconds", "From a record's timestamp to its delivery.", prometheus.ExponentialBuckets(0.005, 4, 12)),
		skipped:            counter("skipped_events_total", "Events that the subscription does not want, by its types and filter."),
		deadLetters:        counter("dead_letters_total", "Events given up and written to the dead-letter topic, by reason.", "reason"),
		deadLetterFailures: counter("dead_letter_failures_total", "Writes of dead letters that failed and are tried again."),
		commits:            counter("commits_total", "Commits of offsets, by result.", "result"),
		fetchPauses:        counter("fetch_pauses_total", "Partitions that were paused because their window was full."),
		foreignMetadata:    counter("foreign_metadata_total", "Commits whose metadata was not the gateway's."),
		readFailures:       counter("read_failures_total", "Failures to read a partition."),
		partitions:         gauge("partitions", "Partitions that this gateway has."),
		inFlight:           gauge("in_flight", "Attempts that are on."),
		window:             gauge("window_events", "Events read and not finished."),
		bytes:              gauge("window_bytes", "Memory of these, about."),
		failing:            gauge("failing_events", "Events that failed and are not finished; held ones too."),
		held:               gauge("held_entities", "Entities held back behind a dead letter."),
		breaker:            gauge("breaker_state", "Circuit breaker: 0 closed, 1 open, 2 half-open."),
		paused:             gauge("paused", "1 while paused, by hand or by 410."),
		lost:               gauge("lost", "1 when Kafka no longer has the next event of a partition."),
		oldest:             gauge("oldest_seconds", "Age of the oldest event that was read and is not finished."),
		retryAge:           gauge("retry_age_seconds", "Age of the oldest first failure of an event that is not finished."),
		margin:             gauge("retention_margin_seconds", "Time until Kafka deletes the oldest event that waits; +Inf if nothing waits."),
	}
}

func (m *Metrics) gauges() []*prometheus.GaugeVec {
	return []*prometheus.GaugeVec{m.partitions, m.inFlight, m.window, m.bytes, m.failing, m.held, m.breaker, m.paused, m.lost, m.oldest, m.retryAge, m.margin}
}

// begin makes the series of a subscription: alerts need the zeros.
func (m *Metrics) begin(name string) {
	for _, class := range endpoint.Classes() {
		m.attempts.WithLabelValues(name, string(class))
	}
	for _, why := range []string{"attempts", "time", "refused", whyFull, whyExpiring} {
		m.deadLetters.WithLabelValues(name, why)
	}
	for _, result := range []string{"done", "failed"} {
		m.commits.WithLabelValues(name, result)
	}
	for _, c := range []*prometheus.CounterVec{m.skipped, m.deadLetterFailures, m.fetchPauses, m.foreignMetadata, m.readFailures} {
		c.WithLabelValues(name)
	}
	for _, g := range m.gauges() {
		g.WithLabelValues(name)
	}
}

// forget ends the gauges of a subscription that this process no longer runs.
func (m *Metrics) forget(name string) {
	for _, g := range m.gauges() {
		g.DeleteLabelValues(name)
	}
}

func (m *Metrics) attempt(name string, class endpoint.Class, took time.Duration) {
	m.attempts.WithLabelValues(name, string(class)).Inc()
	m.duration.WithLabelValues(name).Observe(took.Seconds())
}

func (m *Metrics) delivered(name string, written, now time.Time) {
	m.latency.WithLabelValues(name).Observe(now.Sub(written).Seconds())
}
