package idempotency

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"eventgateway/internal/event"
)

// rebuildWatch knows how far a rebuild is, of this gateway or, as far as Redis says, of
// another. It serves answers, readiness and gauges; the scripts alone decide what is taken.
type rebuildWatch struct {
	gauges *progressGauges

	mu    sync.Mutex
	state *RebuildState // nil: none is known of
	begun time.Time     // when topics were first reported
	first int64         // offsets that had been read then
}

// RebuildState is how far a rebuild is.
type RebuildState struct {
	// Progress is over all topics. It is zero while the rebuild waits until nothing more can be written.
	Progress
	Topics   []event.TopicReplay
	returned map[string]bool // see returnedTypes
}

// NewRebuildState sums up how far the topics are.
func NewRebuildState(topics []event.TopicReplay, p Progress) *RebuildState {
	s := &RebuildState{Progress: p, Topics: topics, returned: map[string]bool{}}
	returned, _ := returnedTypes(topics)
	for _, name := range returned {
		s.returned[name] = true
	}
	return s
}

// see takes the tally of a rebuild that has announced the types whose topics are done.
func (w *rebuildWatch) see(t Tally, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set(t, now)
}

// seeUnannounced is see before anything is announced: no type is taken yet.
func (w *rebuildWatch) seeUnannounced(t Tally, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set(t, now)
	w.state.returned = nil
}

func (w *rebuildWatch) set(t Tally, now time.Time) {
	if w.begun.IsZero() && len(t.Topics) > 0 {
		w.begun, w.first = now, t.Progress(0).Read
	}
	var took time.Duration
	if !w.begun.IsZero() {
		took = now.Sub(w.begun)
	}
	state := NewRebuildState(t.Topics, t.progressSince(w.first, took))
	w.state = state
	w.gauges.set(state.Progress)
}

// end forgets a rebuild that is over.
func (w *rebuildWatch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state, w.begun, w.first = nil, time.Time{}, 0
	w.gauges.set(Progress{})
}

func (w *rebuildWatch) now() *RebuildState {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// refusal is the error of a claim that cannot be made yet. atLeast is how long its bucket
// stays unready in any case.
func (w *rebuildWatch) refusal(kind string, atLeast time.Duration) *event.Rebuilding {
	e := &event.Rebuilding{Left: atLeast}
	state := w.now()
	if state == nil || state.Progress.Topics == 0 {
		return e
	}
	e.Left = max(e.Left, state.Left)
	if strings.HasPrefix(kind, event.AnyType) {
		kind = "" // of several types
	}
	e.Progress = state.words(kind)
	return e
}

// Percent is how much is read, rounded down.
func (p *Progress) Percent() int {
	if p.Total == 0 {
		return 0
	}
	return int(math.Floor(100 * float64(p.Read) / float64(p.Total)))
}

// words says how far a rebuild is to somebody who waits for events of the type. It names
// partitions that cannot be read, but not why: that may name brokers.
func (s *RebuildState) words(eventType string) string {
	text := fmt.Sprintf("%d %% of the log is read", s.Percent())
	if s.Left > 0 {
		text += fmt.Sprintf(", and the rest takes about %v", s.Left)
	}
	const most = 3
	var named []string
	for _, t := range s.blocking(eventType) {
		for _, cause := range t.Waiting {
			name, _, _ := strings.Cut(cause, ": ")
			named = append(named, name)
		}
	}
	if more := len(named) - most; more > 0 {
		named = append(named[:most], fmt.Sprintf("%d more", more))
	}
	if len(named) > 0 {
		text += "; what cannot be read at present is " + strings.Join(named, ", ")
	}
	return text
}

// blocking are the topics that events of the type wait for.
func (s *RebuildState) blocking(eventType string) (topics []event.TopicReplay) {
	for _, t := range s.Topics {
		if !t.Done && (len(t.Types) == 0 || eventType == "" || slices.Contains(t.Types, eventType) || slices.Contains(t.Types, event.AnyType)) {
			topics = append(topics, t)
		}
	}
	return topics
}

// Returned says whether keyed events of a type are taken already, except webhooks'
// deliveries that may be in a dead-letter topic.
func (s *RebuildState) Returned(eventType string) bool { return s != nil && s.returned[eventType] }

// Waits says what the type's events wait for: each of its topics that is not done, how far
// that is, and which of its partitions cannot be read, and why.
func (s *RebuildState) Waits(eventType string) (why []string) {
	if s == nil {
		return nil
	}
	for _, t := range s.blocking(eventType) {
		if !slices.Contains(t.Types, eventType) && len(t.Types) > 0 {
			continue // dead letters, for which only webhooks wait
		}
		part := Progress{Read: t.Read, Total: t.Total}
		text := fmt.Sprintf("%s is read to %d %%", t.Topic, part.Percent())
		if len(t.Waiting) > 0 {
			text += ", waiting for " + strings.Join(t.Waiting[:min(len(t.Waiting), 3)], "; ")
		}
		why = append(why, text)
	}
	return why
}
