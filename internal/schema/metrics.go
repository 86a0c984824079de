package schema

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	reloads  *prometheus.CounterVec
	types    prometheus.Gauge
	lastLoad prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_schema_reloads_total",
			Help: "Changes of the schemas folder, by result: loaded, or refused with the last good set kept.",
		}, []string{"result"}),
		types: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_schema_event_types",
			Help: "Event types loaded.",
		}),
		lastLoad: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_schema_last_load_timestamp_seconds",
			Help: "When the present set of schemas was loaded, in Unix time.",
		}),
	}
	m.reloads.WithLabelValues("loaded")
	m.reloads.WithLabelValues("refused")
	for _, c := range []prometheus.Collector{m.reloads, m.types, m.lastLoad} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register schema metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) loaded(set *Set) {
	m.types.Set(float64(len(set.names)))
	m.lastLoad.SetToCurrentTime()
}
