package idempotency

import (
	"encoding/json"
	"sync"
	"time"

	"eventgateway/internal/event"
)

const (
	// recentLimit bounds a generation: two of them take about 6 MB.
	recentLimit = 8192
	// recentAge is enough for a retry that follows its answer.
	recentAge = time.Minute
)

// recent remembers receipts of events that were just written, so that a retry
// right behind its 202 is answered at once, settled in Redis or not. It holds
// two generations and drops the older one when the younger is full or aged.
type recent struct {
	age time.Duration

	mu         sync.Mutex
	young, old map[event.ClaimID]written
	youngSince time.Time
	now        func() time.Time
}

type written struct {
	fingerprint event.Fingerprint
	receipt     []byte // JSON
}

func newRecent(age time.Duration) *recent {
	return &recent{age: age / 2, young: map[event.ClaimID]written{}, old: map[event.ClaimID]written{}, now: time.Now, youngSince: time.Now()}
}

func (r *recent) add(id event.ClaimID, f event.Fingerprint, receipt []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnLocked()
	r.young[id] = written{f, receipt}
}

func (r *recent) look(id event.ClaimID, f event.Fingerprint) (event.Standing, bool) {
	r.mu.Lock()
	r.turnLocked()
	w, ok := r.young[id]
	if !ok {
		w, ok = r.old[id]
	}
	r.mu.Unlock()
	switch {
	case !ok:
		return event.Standing{}, false
	case f != (event.Fingerprint{}) && w.fingerprint != f:
		return event.Standing{State: event.Reused}, true
	}
	standing := event.Standing{State: event.Settled}
	if json.Unmarshal(w.receipt, &standing.Receipt) != nil {
		return event.Standing{}, false // Redis is asked instead
	}
	return standing, true
}

func (r *recent) turnLocked() {
	now := r.now()
	age := now.Sub(r.youngSince)
	if len(r.young) < recentLimit && age < r.age {
		return
	}
	r.old, r.young = r.young, r.old
	clear(r.young)
	if age >= 2*r.age {
		clear(r.old)
	}
	r.youngSince = now
}
