package ingest

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"eventgateway/internal/event"
)

// Metrics of the door. The event type label is bounded by the loaded types:
// refusals of unknown types are counted under "".
type Metrics struct {
	events      *prometheus.CounterVec
	bypassed    prometheus.Counter
	takeovers   prometheus.Counter
	receipts    prometheus.Counter
	deadLetters prometheus.Counter
	parse       prometheus.Observer
	claim       prometheus.Observer
	publish     prometheus.Observer
}

// NewMetrics registers the door's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	stages := f.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "gateway_stage_duration_seconds",
		Help:    "Time spent per event in each stage: parse (with validation), claim, publish (until acknowledged).",
		Buckets: []float64{.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"stage"})
	return &Metrics{
		events: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_events_total",
			Help: "Events by type and result: written, replayed, bypassed, or the problem's slug.",
		}, []string{"type", "result"}),
		bypassed: f.NewCounter(prometheus.CounterOpts{
			Name: "gateway_idempotency_bypassed_total",
			Help: "Keyed events published without deduplication because the store was away and the type allows it.",
		}),
		takeovers: f.NewCounter(prometheus.CounterOpts{
			Name: "gateway_idempotency_takeovers_total",
			Help: "Claims whose lease had run out and that another attempt took over.",
		}),
		receipts: f.NewCounter(prometheus.CounterOpts{
			Name: "gateway_receipts_from_log_total",
			Help: "Receipts that were read from their records: for GET /v1/receipts, and for retries that would be written differently now.",
		}),
		deadLetters: f.NewCounter(prometheus.CounterOpts{
			Name: "gateway_dead_letters_total",
			Help: "Events that did not fit their schema and were kept on a dead-letter topic.",
		}),
		parse:   stages.WithLabelValues("parse"),
		claim:   stages.WithLabelValues("claim"),
		publish: stages.WithLabelValues("publish"),
	}
}

func (m *Metrics) accepted(eventType string, r Result) {
	result := "written"
	switch {
	case r.Replayed:
		result = "replayed"
	case r.Bypassed:
		result = "bypassed"
	}
	m.events.WithLabelValues(eventType, result).Inc()
}

func (m *Metrics) refused(eventType string, e *event.Error) {
	if e.Kind == event.UnknownEventType {
		eventType = ""
	}
	m.events.WithLabelValues(eventType, string(e.Kind)).Inc()
}
