package idempotency

import "sync"

// gatherer lets concurrent calls share round trips. A call that finds a free
// lane runs at once, together with whatever waits; otherwise it waits for the
// next lane to come free. So a lone caller pays no hand-over between
// goroutines, and a crowd shares scripts.
type gatherer[T any] struct {
	run      func([]T) // executes a batch and answers each of its calls
	maxBatch int       // bounds how long one script holds Redis
	lanes    int       // batches under way at once

	mu      sync.Mutex
	waiting []T
	busy    int
}

// add runs calls, now or in later batches. It returns before they are answered
// if another goroutine runs them.
func (g *gatherer[T]) add(calls ...T) {
	g.mu.Lock()
	g.waiting = append(g.waiting, calls...)
	if g.busy >= g.lanes {
		g.mu.Unlock()
		return
	}
	g.busy++
	batch := g.takeLocked()
	g.mu.Unlock()
	defer g.release()
	g.run(batch)
}

// release hands the lane to those who came meanwhile, on a goroutine of its
// own: who brought one batch need not serve the rest.
func (g *gatherer[T]) release() {
	g.mu.Lock()
	batch := g.takeLocked()
	if len(batch) == 0 {
		g.busy--
	}
	g.mu.Unlock()
	if len(batch) > 0 {
		go func() {
			defer g.release()
			g.run(batch)
		}()
	}
}

func (g *gatherer[T]) takeLocked() []T {
	n := min(len(g.waiting), g.maxBatch)
	batch := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	return batch
}
