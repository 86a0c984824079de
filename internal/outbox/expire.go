package outbox

import (
	"context"
	"sync"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
)

// openClaims are the claims of rows that were published and are not deleted yet. Nobody asks
// for the claim of a row that is deleted, so most claims are never settled: they expire. Those
// that are left when the session ends are settled then.
type openClaims struct {
	mu   sync.Mutex
	list map[event.ClaimID]*event.Settlement
}

func (o *openClaims) add(results []ingest.BatchResult) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range results {
		if r.Settlement != nil {
			o.list[r.Settlement.Claim.ID] = r.Settlement
		}
	}
}

func (o *openClaims) remove(ids []event.ClaimID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range ids {
		delete(o.list, id)
	}
}

func (o *openClaims) removeAll() []event.Settlement {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := make([]event.Settlement, 0, len(o.list))
	for _, s := range o.list {
		list = append(list, *s)
	}
	clear(o.list)
	return list
}

const (
	// expiringBatches is how many batches of claims may wait to expire soon. Those beyond
	// expire with the window.
	expiringBatches = 256
	// expireTries is how often it is tried to make claims expire, with expirePause between.
	expireTries = 3
	expirePause = 500 * time.Millisecond
)

// lateClaims are to be tried again.
type lateClaims struct {
	ids   []event.ClaimID
	tries int
	at    time.Time
}

// expireAll makes the claims of deleted rows expire, until ctx ends.
func (s *session) expireAll(ctx context.Context) error {
	var again []lateClaims
	timer := time.NewTicker(expirePause)
	defer timer.Stop()
	for {
		var next lateClaims
		select {
		case ids := <-s.expiring:
			next = lateClaims{ids, expireTries, time.Time{}}
		case now := <-timer.C:
			if len(again) == 0 || now.Before(again[0].at) {
				continue
			}
			next = again[0]
			again = again[1:]
		case <-ctx.Done():
			return ctx.Err()
		}
		if len(next.ids) == 0 {
			continue
		}
		err := s.claims.Expire(ctx, next.ids, s.cfg.fence())
		if next.tries--; err != nil && next.tries > 0 && len(again) < expiringBatches {
			next.at = time.Now().Add(expirePause)
			again = append(again, next)
		}
	}
}
