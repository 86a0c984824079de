package idempotency

import "sync"

// batcher lets concurrent calls share round trips. While fewer than maxRunning
// batches are running, a call runs at once, together with all that wait; otherwise it
// waits for the next batch. A caller on its own is never handed to another goroutine,
// and many callers share scripts.
type batcher[T any] struct {
	run        func([]T) // executes a batch and answers each of its calls
	maxBatch   int       // bounds how long one script occupies Redis
	maxRunning int       // batches at once

	mu      sync.Mutex
	waiting []T
	running int
}

// add runs calls, now or in later batches. It returns before they are answered
// if another goroutine runs them.
func (b *batcher[T]) add(calls ...T) {
	b.mu.Lock()
	b.waiting = append(b.waiting, calls...)
	if b.running >= b.maxRunning {
		b.mu.Unlock()
		return
	}
	b.running++
	batch := b.nextBatchLocked()
	b.mu.Unlock()
	defer b.finished()
	b.run(batch)
}

// finished starts the next batch, if calls have come meanwhile. It does so on a new
// goroutine, because a caller that ran one batch should not have to run the others'.
func (b *batcher[T]) finished() {
	b.mu.Lock()
	batch := b.nextBatchLocked()
	if len(batch) == 0 {
		b.running--
	}
	b.mu.Unlock()
	if len(batch) > 0 {
		go func() {
			defer b.finished()
			b.run(batch)
		}()
	}
}

func (b *batcher[T]) nextBatchLocked() []T {
	n := min(len(b.waiting), b.maxBatch)
	batch := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	return batch
}
