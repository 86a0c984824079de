package api

import "sync/atomic"

// admission bounds the bytes of request bodies that are held at once, over all
// requests: from before they are read until the answer is made. It is the only place
// that counts them.
type admission struct {
	limit int64
	held  atomic.Int64
}

// take counts n bytes more, unless that would be too many.
func (a *admission) take(n int) bool {
	for {
		held := a.held.Load()
		if int64(n) > a.limit-held {
			return false
		}
		if a.held.CompareAndSwap(held, held+int64(n)) {
			return true
		}
	}
}

// room tells whether n bytes more could be counted now.
func (a *admission) room(n int) bool { return int64(n) <= a.limit-a.held.Load() }

// give takes n bytes back.
func (a *admission) give(n int) { a.held.Add(-int64(n)) }
