package publish

import (
	"sync"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

const (
	// memoriesKept bounds the memory of searches; one takes about half a kilobyte.
	memoriesKept = 10_000
	// memoryAge is how long what a search has seen is of use: callers that gave up try
	// again within minutes.
	memoryAge = 15 * time.Minute
)

// recoveryMemory knows how far earlier searches came, and what they found: a caller's
// retry continues where the read of the first had come to, however that ended.
type recoveryMemory struct {
	mu    sync.Mutex
	of    map[searchKey]memoryOfSearch
	order []searchKey // oldest first
}

type searchKey struct {
	id event.ClaimID
	kafka.Partition
}

// memoryOfSearch says that no record of the claim with a timestamp of from or later lies
// before next, or that it was found.
type memoryOfSearch struct {
	from, at time.Time
	next     int64
	found    *event.Receipt
}

func (m *recoveryMemory) keep(s *search, part kafka.Partition, next int64, found *event.Receipt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := searchKey{s.id, part}
	if _, ok := m.of[key]; !ok {
		if m.of == nil {
			m.of = map[searchKey]memoryOfSearch{}
		}
		m.order = append(m.order, key)
		if len(m.order) > memoriesKept {
			delete(m.of, m.order[0])
			m.order = m.order[1:]
		}
	}
	m.of[key] = memoryOfSearch{from: s.from, at: time.Now(), next: next, found: found}
}

// recall returns what is known of a search. Of a claim that was made anew meanwhile, an
// older one's memory holds as well, but not what that one found.
func (m *recoveryMemory) recall(s *search, part kafka.Partition) (memoryOfSearch, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.of[searchKey{s.id, part}]
	if !ok || time.Since(known.at) > memoryAge || !known.from.Equal(s.from) {
		return memoryOfSearch{}, false
	}
	return known, true
}
