package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"eventgateway/internal/backoff"
)

// recovery is how service came back after a fault.
type recovery struct {
	after string // kinds of faults
	took  time.Duration
	limit time.Duration
	back  bool
}

// violation returns the violation of rule (f), or nil.
func (r recovery) violation() *Violation {
	switch {
	case !r.back:
		return &Violation{Rule: "f", Text: fmt.Sprintf("after %s service was not back within %v", r.after, r.limit)}
	case r.took > r.limit:
		return &Violation{Rule: "f", Text: fmt.Sprintf("after %s service was back only after %v, not within %v", r.after, r.took.Round(time.Millisecond), r.limit)}
	default:
		return nil
	}
}

// probesPerGateway is how many probes are sent side by side: different keys are in
// different partitions and in different buckets of claims.
const probesPerGateway = 16

// awaitService posts new events through every gateway until each of several partitions
// and buckets accepts one. It waits for up to twice the limit, so that the report says
// how late service was.
func (w *world) awaitService(ctx context.Context, after string, limit time.Duration) recovery {
	if w.shop != nil {
		return w.awaitRelay(ctx, after, limit)
	}
	if w.push != nil {
		return w.awaitPushes(ctx, after, limit)
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 2*limit)
	defer cancel()
	var wg sync.WaitGroup
	var missing atomic.Int64
	for _, p := range w.posters {
		for i := range probesPerGateway {
			wg.Go(func() {
				dice := rand.New(rand.NewPCG(w.opts.Seed, uint64(i)))
				for {
					// A new key each time: an unknown one has to wait for its lease.
					n := w.probes.Add(1)
					j := singleJob(&Key{Name: fmt.Sprintf("probe-%d", n), Entity: fmt.Sprintf("probe-%d", n), Valid: true})
					w.history.begin(j.keys...)
					a, asked := p.post(ctx, w.history, j, j.keys)
					if a[0].Receipt != nil {
						return
					}
					if !backoff.Sleep(ctx, retryPause(asked, dice)) {
						missing.Add(1)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	if missing.Load() > 0 {
		w.dump()
	}
	return recovery{after: after, took: time.Since(begun), limit: limit, back: missing.Load() == 0}
}
