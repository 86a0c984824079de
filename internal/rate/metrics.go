package rate

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics count decisions. They have no labels, because there may be many clients.
type Metrics struct {
	limited prometheus.Counter
	alone   prometheus.Counter
}

// NewMetrics registers the metrics of rates.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		limited: f.NewCounter(prometheus.CounterOpts{
			Name: "gateway_rate_limited_calls_total", Help: "Calls refused because the client exceeds its rate.",
		}),
		alone: f.NewCounter(prometheus.CounterOpts{
			Name: "gateway_rate_local_decisions_total", Help: "Calls let through by this gateway's own count alone, because Redis was away or slow.",
		}),
	}
}
