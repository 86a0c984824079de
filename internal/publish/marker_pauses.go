package publish

import "time"

const (
	// shortestMarkerPause is what one broker nearby needs (measured: with half of it, one
	// transaction in 1,000 came too early, with all of it none in 3,800).
	shortestMarkerPause = time.Millisecond
	longestMarkerPause  = 64 * time.Millisecond
	// markerPauseDecay is the part of the pause by which each transaction that was not
	// disturbed shortens it.
	markerPauseDecay = 256
)

// markerPauses adapts the pause between a commit and the next transaction.
type markerPauses struct {
	pause   time.Duration
	fastest time.Duration // commit so far
}

// appended notes that the records of a transaction are acknowledged. Disturbed, the client
// asked for metadata meanwhile: often the markers of the commit before were not written.
func (m *markerPauses) appended(disturbed bool) {
	if disturbed {
		m.pause = min(longestMarkerPause, max(shortestMarkerPause, 2*m.pause))
	} else {
		m.pause -= m.pause / markerPauseDecay
	}
}

// committed notes how long a commit took. What the brokers' answers are on the way is a
// pause, too: a commit itself takes a broker at most 3 ms, nearly always.
func (m *markerPauses) committed(took time.Duration) {
	if m.fastest == 0 || took < m.fastest {
		m.fastest = took
	}
	m.pause = max(m.pause, shortestMarkerPause-max(0, m.fastest-3*shortestMarkerPause))
}
