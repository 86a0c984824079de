package outbox

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// snapshot says which transactions a query saw: all below xmax, but those that were open.
type snapshot struct {
	xmax uint64
	open []uint64 // sorted
}

// parseSnapshot reads a pg_snapshot: xmin:xmax:open,open,…
func parseSnapshot(text string) (s snapshot, err error) {
	parts := strings.SplitN(text, ":", 3)
	if len(parts) != 3 {
		return s, fmt.Errorf("snapshot %q is not one", text)
	}
	if s.xmax, err = strconv.ParseUint(parts[1], 10, 64); err != nil {
		return s, fmt.Errorf("snapshot %q: %w", text, err)
	}
	for one := range strings.SplitSeq(parts[2], ",") {
		if one == "" {
			continue
		}
		xid, err := strconv.ParseUint(one, 10, 64)
		if err != nil {
			return s, fmt.Errorf("snapshot %q: %w", text, err)
		}
		s.open = append(s.open, xid)
	}
	slices.Sort(s.open)
	return s, nil
}

func (s *snapshot) isOpen(xid uint64) bool {
	_, open := slices.BinarySearch(s.open, xid)
	return open
}

// sees tells whether a transaction, named by the lower half of its number, is visible in the
// snapshot.
func (s *snapshot) sees(xid uint32) bool {
	full := s.xmax&^math.MaxUint32 | uint64(xid)
	switch half := uint64(math.MaxUint32 / 2); {
	case full > s.xmax+half:
		full -= math.MaxUint32 + 1 // of the epoch before
	case full+half < s.xmax:
		full += math.MaxUint32 + 1 // of the next one
	}
	return full < s.xmax && !s.isOpen(full)
}

// markAge is how long a number was seen before the mark may move up to it. A transaction
// takes the number of a row a moment before it gets its own id, by which it is known.
const markAge = 300 * time.Millisecond

// marks are the numbers at which queries begin.
type marks struct {
	low  int64 // no row below it can appear any more, except one whose number was taken by hand
	fast int64 // rows below it can come from holders only
	// holders are open transactions that may have taken numbers below fast.
	holders []uint64
	seen    []seenNumber // candidates for fast, the oldest first
}

// seenNumber is a number that was seen in a table all of whose rows up to it were taken.
type seenNumber struct {
	at     time.Time
	number int64
	xmax   uint64 // of the first query at least half of markAge later; 0: none yet
}

// holderEnded tells whether a query above the fast mark may have missed rows, because a
// holder has ended.
func (m *marks) holderEnded(snap snapshot) bool {
	return slices.ContainsFunc(m.holders, func(xid uint64) bool { return !snap.isOpen(xid) })
}

// observe takes in a query that saw everything above the fast mark up to number. If it
// also saw everything between the low mark and the fast one, holders that have ended are
// none any more.
func (m *marks) observe(snap snapshot, number int64, fromLow bool) {
	if fromLow {
		m.holders = slices.DeleteFunc(m.holders, func(xid uint64) bool { return !snap.isOpen(xid) })
	}
	m.advance(snap, number)
}

// advance moves the marks.
func (m *marks) advance(snap snapshot, number int64) {
	now := time.Now()
	for i := range m.seen {
		if m.seen[i].xmax == 0 && now.Sub(m.seen[i].at) >= markAge/2 {
			m.seen[i].xmax = snap.xmax
		}
	}
	old := 0
	for old < len(m.seen) && m.seen[old].xmax != 0 && now.Sub(m.seen[old].at) >= markAge {
		old++
	}
	if old > 0 {
		top := m.seen[old-1]
		m.seen = m.seen[old:]
		if top.number > m.fast {
			m.fast = top.number
			for _, xid := range snap.open {
				if xid < top.xmax && !slices.Contains(m.holders, xid) {
					m.holders = append(m.holders, xid)
				}
			}
		}
	}
	if len(m.holders) == 0 {
		m.low = m.fast
	}
	last := int64(0)
	if n := len(m.seen); n > 0 {
		last = m.seen[n-1].number
		if now.Sub(m.seen[n-1].at) < markAge/10 {
			return // enough candidates
		}
	}
	if number > max(last, m.fast) {
		m.seen = append(m.seen, seenNumber{at: now, number: number})
	}
}
