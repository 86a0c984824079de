package app

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"eventgateway/internal/preflight"
)

// preflightMetrics are those of the checks that go on while the gateway runs.
type preflightMetrics struct {
	findings *prometheus.GaugeVec
	looks    *prometheus.CounterVec
}

func newPreflightMetrics(reg prometheus.Registerer) *preflightMetrics {
	f := promauto.With(reg)
	m := &preflightMetrics{
		findings: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_preflight_findings",
			Help: "Topics, or Redis servers, of which a check of `gateway check` finds a warning or an error now.",
		}, []string{"check", "severity"}),
		looks: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_preflight_looks_total",
			Help: "Looks at Kafka and Redis while serving, by area: done, failed (the findings of the area are those of the look before).",
		}, []string{"area", "result"}),
	}
	for check := range watchedChecks { // alerts need the zeros
		for _, severity := range []preflight.Severity{preflight.Warning, preflight.Error} {
			m.findings.WithLabelValues(check, string(severity))
		}
	}
	return m
}
