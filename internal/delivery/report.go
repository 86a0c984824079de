package delivery

import (
	"math"
	"time"
)

// reportInterval is how often gauges are brought up to date while there is work.
const reportInterval = 250 * time.Millisecond

// report brings the gauges up to date.
func (m *member) report() {
	now := time.Now()
	if now.Sub(m.reported) < reportInterval && !m.stopping {
		return
	}
	m.reported, m.active = now, false
	name, x := m.cfg.Name, m.sub.metrics
	var waiting, failing, held int
	var oldest, first time.Time
	margin := math.Inf(1)
	keeps := m.sub.keeps.Load()
	for _, w := range m.order {
		waiting += w.unfinished + len(w.backlog)
		for _, e := range w.entries {
			if e.state == stateFinished || e.attempts == 0 {
				continue
			}
			failing++
			if e.state == stateHeld {
				held++
			}
			if first.IsZero() || e.first.Before(first) {
				first = e.first
			}
		}
		at := w.oldest()
		if at.IsZero() {
			continue
		}
		if oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
		if keeps != nil {
			if kept, ok := (*keeps)[w.part.Topic]; ok {
				margin = min(margin, kept.Seconds()-now.Sub(at).Seconds())
			}
		}
	}
	age := func(at time.Time) float64 {
		if at.IsZero() {
			return 0
		}
		return max(0, now.Sub(at).Seconds())
	}
	paused := 0.0
	if m.sub.paused() {
		paused = 1
	}
	x.partitions.WithLabelValues(name).Set(float64(len(m.order)))
	x.inFlight.WithLabelValues(name).Set(float64(m.inFlight))
	x.window.WithLabelValues(name).Set(float64(waiting))
	x.bytes.WithLabelValues(name).Set(float64(m.bytes))
	x.failing.WithLabelValues(name).Set(float64(failing))
	x.held.WithLabelValues(name).Set(float64(held))
	x.paused.WithLabelValues(name).Set(paused)
	x.oldest.WithLabelValues(name).Set(age(oldest))
	x.retryAge.WithLabelValues(name).Set(age(first))
	x.margin.WithLabelValues(name).Set(margin)
	m.warnOfRetention(margin)
	m.expire(now)
}

// warnOfRetention logs when what waits is about to be deleted: once, and again when it
// was out of danger in between.
func (m *member) warnOfRetention(margin float64) {
	if margin > retentionWarning.Seconds() {
		m.warned = false
		return
	}
	if !m.warned {
		m.warned = true
		m.logger.Warn("Kafka deletes the oldest event that waits soon: deliver it, or raise the topic's retention.ms", "seconds", int(margin))
	}
}

// retentionWarning is how long before.
const retentionWarning = time.Hour
