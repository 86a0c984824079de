package delivery

import (
	"slices"
	"time"
)

// retentionGuard is how long before Kafka deletes an event OnExpiring acts: as long as
// the warning, or a tenth of the retention if that is less.
func retentionGuard(kept time.Duration) time.Duration { return min(retentionWarning, kept/10) }

// expire makes dead letters of events that Kafka is about to delete, if that is configured:
// also while the subscription is paused or its breaker open, for then they would be lost.
func (m *member) expire(now time.Time) {
	keeps := m.sub.keeps.Load()
	m.expireAgain = false
	if m.cfg.OnExpiring != ExpiringDeadLetter || keeps == nil || m.stopping {
		return
	}
	for _, w := range m.order {
		kept, limited := (*keeps)[w.part.Topic]
		if !limited || w.closing {
			continue
		}
		for _, e := range w.expiring(now.Add(retentionGuard(kept)-kept), maxFailing) {
			if e.state == stateHeld { // its dead letter is written; what it holds back must not be lost
				m.finish(e)
				m.expireAgain = true
				continue
			}
			w.withdraw(e)
			m.die(e, deadReason{Why: whyExpiring})
		}
	}
}

// expiring are records written before a time of which no attempt is on: at most so many,
// those whose dead letters are being written among them. An entity's come one by one.
func (w *window) expiring(before time.Time, most int) (list []*entry) {
	for _, e := range w.entries {
		if most == 0 {
			break
		}
		switch e.state {
		case stateDying:
			most--
		case stateReady, stateWaiting, stateHeld:
			if e.record.Timestamp.Before(before) {
				list = append(list, e)
				most--
			}
		case stateQueued, stateInFlight, stateFinished:
		}
	}
	return list
}

// withdraw takes a record out of those that are to be attempted.
func (w *window) withdraw(e *entry) {
	is := func(other *entry) bool { return other == e }
	w.fresh = slices.DeleteFunc(w.fresh, is)
	w.retries = slices.DeleteFunc(w.retries, is)
}
