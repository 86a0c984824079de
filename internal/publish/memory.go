package publish

import (
	"sync/atomic"

	"eventgateway/internal/event"
)

// recordOverhead is what a waiting record takes beside its own bytes: the gateway's and
// the client's bookkeeping. For librdkafka 2 kB were measured, for franz-go less.
const recordOverhead = 2 << 10

// memory bounds what records in flight hold.
type memory struct {
	limit int64
	held  atomic.Int64
}

func newMemory(limit int64) *memory { return &memory{limit: max(1<<20, limit)} }

// take reports whether there is room for a record of that size. What was taken must be
// given back.
func (m *memory) take(size int) bool {
	if m.held.Add(int64(size)+recordOverhead) > m.limit {
		m.give(size)
		return false
	}
	return true
}

func (m *memory) give(size int) { m.held.Add(-int64(size) - recordOverhead) }

func overloaded() *event.Error {
	return event.Refuse(event.Overloaded, "The gateway holds as many unacknowledged events as its memory allows (http.in_flight_limit). Nothing was written; send it again shortly.")
}
