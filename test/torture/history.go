package torture

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync"
	"time"
)

// Key is one idempotency key and all that was ever said about it.
type Key struct {
	Name   string // Idempotency-Key
	Entity string
	Seq    int  // place in the order of the entity's events
	Valid  bool // false: the body breaks the schema, on purpose
	// Attempts are in the order of being sent. Only the key's owner, one
	// goroutine at a time, adds to them.
	Attempts []Attempt
}

// Attempt is one request. Times count from the start of the run.
type Attempt struct {
	Gateway  int
	Sent     time.Duration
	Answered time.Duration
	Status   int      // 0: no answer came
	Slug     string   // of a problem; of no answer, what happened
	Outcome  string   // what a problem says: not-written, unknown
	Replayed bool     // Idempotent-Replayed
	Receipt  *Receipt // of a 2xx; equal receipts of a key are one
}

// Receipt is the body of a 202.
type Receipt struct {
	Partition int32
	Offset    int64
	Body      string // as it came
}

const outcomeNotWritten = "not-written"

// Accepted returns the first receipt, or nil.
func (k *Key) Accepted() *Receipt {
	for i := range k.Attempts {
		if r := k.Attempts[i].Receipt; r != nil {
			return r
		}
	}
	return nil
}

// SurelyNotWritten tells whether every answer said so.
func (k *Key) SurelyNotWritten() bool {
	for i := range k.Attempts {
		if k.Attempts[i].Outcome != outcomeNotWritten {
			return false
		}
	}
	return len(k.Attempts) > 0
}

// Body is the event's data.
func (k *Key) Body() string {
	if !k.Valid {
		return fmt.Sprintf(`{"entity":%q,"seq":"not a number"}`, k.Entity)
	}
	return fmt.Sprintf(`{"entity":%q,"seq":%d,"key":%q}`, k.Entity, k.Seq, k.Name)
}

// Claim is gw_claim of the key for the anonymous client: SHA-256 of the
// length-prefixed kind, client, key and (empty) index.
func (k *Key) Claim() string {
	h := sha256.New()
	for _, part := range []string{"key", "anonymous", k.Name, ""} {
		_ = binary.Write(h, binary.BigEndian, uint32(len(part))) // a hash takes everything
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// add notes an answer. Receipts of a key are nearly always equal: they share
// one text.
func (k *Key) add(a Attempt) {
	if a.Receipt != nil {
		if first := k.Accepted(); first != nil && *first == *a.Receipt {
			a.Receipt = first
		}
	}
	k.Attempts = append(k.Attempts, a)
}

// history is every key of a run, and the tallies that progress lines show.
type history struct {
	begun time.Time

	mu       sync.Mutex
	keys     []*Key
	accepted int            // keys with a 2xx
	answers  map[string]int // by what they say
}

func newHistory() *history {
	return &history{begun: time.Now(), answers: map[string]int{}}
}

// since is the time of the run.
func (h *history) since() time.Duration { return time.Since(h.begun) }

func (h *history) begin(k *Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys = append(h.keys, k)
}

// count tallies an answer; first says that it is the first 2xx of its key.
func (h *history) count(a Attempt, first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers[a.say()]++
	if first {
		h.accepted++
	}
}

func (h *history) totals() (accepted, keys int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.accepted, len(h.keys)
}

func (a *Attempt) say() string {
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
