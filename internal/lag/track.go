package lag

import (
	"time"

	"eventgateway/internal/kafka"
)

// window is how many passes trends look back on.
const window = 10

// keptPasses is for how many passes a partition is remembered that was not seen: a broker
// may not answer once, and a group is no less stuck then.
const keptPasses = 3

type trackKey struct {
	group string
	kafka.Partition
}

// track is what is remembered of a group's partition.
type track struct {
	pass      int64 // of the last pass in which it was seen
	committed int64
	since     time.Time // when committed was first seen; zero before the first pass
	moved     bool      // it has changed since the first pass
	waits     samples

	// Of a partition in which nothing is committed: where its log ended first, and when it was
	// seen to have grown.
	uncommitted bool
	firstEnd    int64
	grew        time.Time

	// What was read from committed on: the first record that waits, or that there is none
	// up to clear.
	record kafka.Waiting
	unread bool // it was not read in the last pass
}

func (m *Monitor) track(group string, p kafka.Partition) *track {
	key := trackKey{group, p}
	t, ok := m.tracks[key]
	if !ok {
		t = &track{committed: -1, record: kafka.Waiting{Offset: -1}}
		m.tracks[key] = t
	}
	if t.pass < m.pass-1 { // meanwhile the topic may have been made anew
		t.record = kafka.Waiting{Offset: -1}
	}
	t.pass = m.pass
	return t
}

// noCommit notes that nothing is committed, and returns since when records have come all
// the same.
func (t *track) noCommit(now time.Time, end int64) (grew time.Time) {
	switch {
	case !t.uncommitted:
		t.uncommitted, t.firstEnd, t.grew = true, end, time.Time{}
	case t.grew.IsZero() && end > t.firstEnd:
		t.grew = now
	}
	return t.grew
}

// commit notes what is committed.
func (t *track) commit(now time.Time, offset int64) {
	t.uncommitted = false
	if !t.since.IsZero() && t.committed == offset {
		return
	}
	t.moved = !t.since.IsZero()
	t.committed, t.since = offset, now
}

// forget drops what the last passes have not seen.
func (m *Monitor) forget() {
	for key, t := range m.tracks {
		if t.pass <= m.pass-keptPasses {
			delete(m.tracks, key)
		}
	}
	for key, h := range m.histories {
		if h.pass <= m.pass-keptPasses {
			delete(m.histories, key)
		}
	}
}

// history is what waited in the last passes.
type history struct {
	pass   int64
	values [window]int64
	times  [window]time.Time
	n      int // how many of them, at most window
}

func (h *history) add(now time.Time, value int64) {
	if h.n == window {
		copy(h.values[:], h.values[1:])
		copy(h.times[:], h.times[1:])
		h.n--
	}
	h.values[h.n], h.times[h.n] = value, now
	h.n++
}

// change is by how much the values grow in a second, over the window.
func (h *history) change() (perSecond float64, ok bool) {
	if h.n < 2 {
		return 0, false
	}
	took := h.times[h.n-1].Sub(h.times[0]).Seconds()
	if took <= 0 {
		return 0, false
	}
	return float64(h.values[h.n-1]-h.values[0]) / took, true
}

func (h *history) list() []int64 { return append([]int64(nil), h.values[:h.n]...) }

// samples are the values of a history alone: there is one for each partition.
type samples struct {
	values [window]int64
	n      int
}

func (h *samples) add(value int64) {
	if h.n == window {
		copy(h.values[:], h.values[1:])
		h.n--
	}
	h.values[h.n] = value
	h.n++
}

// trend is 1 if more waited all through the newer half than ever in the older one, and -1
// if less did. Waves within the window are no trend, whatever their height.
func (h *samples) trend() int {
	if h.n < 2 {
		return 0
	}
	oldLeast, oldMost := bounds(h.values[:h.n/2])
	newLeast, newMost := bounds(h.values[h.n/2 : h.n])
	switch {
	case newLeast > oldMost:
		return 1
	case newMost < oldLeast:
		return -1
	}
	return 0
}

func bounds(values []int64) (least, most int64) {
	least, most = values[0], values[0]
	for _, v := range values[1:] {
		least, most = min(least, v), max(most, v)
	}
	return least, most
}
