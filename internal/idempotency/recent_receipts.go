package idempotency

import (
	"encoding/json"
	"sync"
	"time"

	"eventgateway/internal/event"
)

const (
	// recentLimit bounds the receipts of a generation: two generations take about 6 MB.
	recentLimit = 8192
	// recentAge is enough for a retry that follows soon after its answer.
	recentAge = time.Minute
)

// recentReceipts remembers the receipts of events that were just written, so that a
// retry soon after its 202 is answered at once, whether or not the claim is settled in
// Redis yet. It keeps two generations, and drops the older one when the younger one is
// full or old.
type recentReceipts struct {
	age time.Duration

	mu         sync.Mutex
	young, old map[event.ClaimID]written
	youngSince time.Time
	now        func() time.Time
}

type written struct {
	fingerprint event.Fingerprint
	receipt     string // JSON
}

func newRecentReceipts(age time.Duration) *recentReceipts {
	return &recentReceipts{age: age / 2, young: map[event.ClaimID]written{}, old: map[event.ClaimID]written{}, now: time.Now, youngSince: time.Now()}
}

func (r *recentReceipts) add(id event.ClaimID, f event.Fingerprint, receipt string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rotateLocked()
	r.young[id] = written{f, receipt}
}

func (r *recentReceipts) look(id event.ClaimID, f event.Fingerprint) (event.ClaimResult, bool) {
	r.mu.Lock()
	r.rotateLocked()
	w := r.findLocked(id)
	r.mu.Unlock()
	return w.result(f)
}

// find looks for several claims at once. The result is by the index of the claim.
func (r *recentReceipts) find(claims []event.Claim) map[int]written {
	var known map[int]written
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rotateLocked()
	for i := range claims {
		if w := r.findLocked(claims[i].ID); w.receipt != "" {
			if known == nil {
				known = map[int]written{}
			}
			known[i] = w
		}
	}
	return known
}

func (r *recentReceipts) findLocked(id event.ClaimID) written {
	w, ok := r.young[id]
	if !ok {
		w = r.old[id]
	}
	return w
}

// result is the result of a claim with fingerprint f; not ok if there is no receipt.
func (w written) result(f event.Fingerprint) (event.ClaimResult, bool) {
	switch {
	case w.receipt == "":
		return event.ClaimResult{}, false
	case f != (event.Fingerprint{}) && w.fingerprint != f:
		return event.ClaimResult{State: event.Reused}, true
	}
	result := event.ClaimResult{State: event.Settled}
	if json.Unmarshal([]byte(w.receipt), &result.Receipt) != nil {
		return event.ClaimResult{}, false // Redis is asked instead
	}
	return result, true
}

func (r *recentReceipts) rotateLocked() {
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
