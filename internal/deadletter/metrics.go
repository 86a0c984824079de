package deadletter

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are those of dead letters that wait. Their labels are topics of the configuration,
// and reasons of which there are few.
type Metrics struct {
	waiting  *prometheus.GaugeVec
	oldest   *prometheus.GaugeVec
	failures prometheus.Counter
	shown    map[[2]string]bool // topic and reason; of the goroutine that counts
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		waiting:  f.NewGaugeVec(prometheus.GaugeOpts{Name: "gateway_dead_letters_waiting", Help: "Dead letters that were neither replayed nor dropped, as this gateway counts them: every gateway counts all."}, []string{"topic", "reason"}),
		oldest:   f.NewGaugeVec(prometheus.GaugeOpts{Name: "gateway_dead_letters_oldest_seconds", Help: "Age of the oldest dead letter that waits; 0 if none waits."}, []string{"topic"}),
		failures: f.NewCounter(prometheus.CounterOpts{Name: "gateway_dead_letters_count_failures_total", Help: "Failures to count the dead letters that wait: the numbers are of before."}),
	}
}

// count is what waits in a topic.
type count struct {
	reasons map[string]int
	oldest  time.Time
}

// show sets the gauges, and ends those of topics and reasons that have none any more.
func (m *Metrics) show(topics map[string]count, now time.Time) {
	shown := map[[2]string]bool{}
	for topic, c := range topics {
		age := 0.0
		if !c.oldest.IsZero() {
			age = max(0, now.Sub(c.oldest).Seconds())
		}
		m.oldest.WithLabelValues(topic).Set(age)
		c.reasons[reasonNone] = 0 // alerts need a series
		for reason, n := range c.reasons {
			m.waiting.WithLabelValues(topic, reason).Set(float64(n))
			shown[[2]string{topic, reason}] = true
		}
	}
	for series := range m.shown {
		if !shown[series] {
			m.waiting.DeleteLabelValues(series[0], series[1])
		}
		if _, ok := topics[series[0]]; !ok {
			m.oldest.DeleteLabelValues(series[0])
		}
	}
	m.shown = shown
}

// Labels for reasons that are no words of the gateway's.
const (
	reasonNone      = "none"      // always 0
	reasonException = "exception" // of another program
	reasonOlder     = "older"     // of letters that are too many to be read
	reasonUnknown   = "unknown"
)

// label is a reason of which there are few: exceptions have as many names as programs.
func label(l *Letter) string {
	switch {
	case l.Dialect != Subscription && l.Dialect != Webhook && l.Reason != "":
		return reasonException
	case l.Reason == "" || len(l.Reason) > 40:
		return reasonUnknown
	}
	return l.Reason
}
