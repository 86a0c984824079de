package torture

import (
	"cmp"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Attempt is one request, and its answer about one event. Times count from the
// start of the run.
type Attempt struct {
	Gateway  int
	Number   int   // of the job's requests, from 1
	Request  int64 // unique in the run
	Sent     time.Duration
	Answered time.Duration
	Status   int      // 0: no answer came
	Slug     string   // of a problem; without an answer, the kind of error
	Outcome  string   // of a problem: not-written, unknown
	Replayed bool     // Idempotent-Replayed
	Item     bool     // the answer is about this event, not about the whole request
	Receipt  *Receipt // of a 2xx; equal receipts of a key are one
}

// Receipt is the body of a 202, or an item's part of it.
type Receipt struct {
	Topic     string
	Partition int32
	Offset    int64
	Body      string // as received
}

// The outcomes of a problem.
const (
	outcomeNotWritten = "not-written"
	outcomeUnknown    = "unknown"
)

// history is every key of a run, and the tallies that progress lines show.
type history struct {
	begun    time.Time
	requests atomic.Int64

	mu       sync.Mutex
	keys     []*Key // those of one request are in its order
	accepted map[string]int
	answers  map[string]int // by their texts
	asked    map[string]int // the same of questions for receipts
}

func newHistory() *history {
	return &history{begun: time.Now(), accepted: map[string]int{}, answers: map[string]int{}, asked: map[string]int{}}
}

// since is the time of the run.
func (h *history) since() time.Duration { return time.Since(h.begun) }

func (h *history) begin(keys ...*Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys = append(h.keys, keys...)
}

// count tallies an answer about a key; first says that it is its first 2xx.
func (h *history) count(k *Key, a Attempt, first bool) {
	said := a.text()
	if k.Via != single || k.Type != "" {
		said = cmp.Or(k.Type, k.Via.String()) + ": " + said
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers[said]++
	if first {
		h.accepted[k.kind()]++
	}
}

func (h *history) countQuestion(q Question) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked[q.text()]++
}

// kind is what a key counts as.
func (k *Key) kind() string {
	if k.Topic() == deadTopic {
		return "dead letter"
	}
	if k.Type != "" {
		return k.Type
	}
	return k.Via.String()
}

func (h *history) totals() (accepted, keys int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.accepted {
		accepted += n
	}
	return accepted, len(h.keys)
}

func (a *Attempt) text() string {
	switch {
	case a.Status == 0:
		return "no answer: " + a.Slug
	case a.Replayed:
		return fmt.Sprintf("%d replayed", a.Status)
	case a.Receipt != nil:
		return fmt.Sprint(a.Status)
	default:
		return fmt.Sprintf("%d %s (%s)", a.Status, a.Slug, a.Outcome)
	}
}
