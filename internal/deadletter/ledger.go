package deadletter

import (
	"encoding/json"
	"fmt"
	"time"
)

// LedgerTopic is the compacted topic in which it is kept what became of dead letters, after
// a prefix that is the installation's own.
func LedgerTopic(prefix string) string { return prefix + "-dead-letters" }

// Action is what was done with a dead letter.
type Action string

// The actions.
const (
	Replayed Action = "replayed"
	Dropped  Action = "dropped"
)

// Mark says what was done with one dead letter: the value of its place in the ledger.
type Mark struct {
	Action Action    `json:"action"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	// To is where the copy went: a topic, with its partition and offset.
	To     *Place `json:"to,omitempty"`
	Target string `json:"target,omitempty"` // in words: "subscription fulfilment", "topic", "door"
	Reason string `json:"reason,omitempty"` // for people
	// Written is the timestamp of the dead letter in milliseconds: a topic that was made anew
	// has other records at the same places.
	Written  int64  `json:"written"`
	Identity string `json:"identity,omitempty"` // see [Letter.Identity]
}

// State is what became of a dead letter.
type State string

// The states.
const (
	Waiting   State = "waiting"
	IsDone    State = "replayed"
	IsDropped State = "dropped"
	// Duplicate is a dead letter of a failure of which another one waits.
	Duplicate State = "duplicate"
)

// Ledger is what is known of dead letters that were replayed or dropped.
type Ledger struct {
	marks    map[Place]Mark
	identity map[string]Place // of those that have a mark
	seen     map[string]Place // of those that wait, by this reader
}

// NewLedger returns one that knows nothing.
func NewLedger() *Ledger {
	return &Ledger{marks: map[Place]Mark{}, identity: map[string]Place{}, seen: map[string]Place{}}
}

// Learn takes a record of the ledger's topic: value nil deletes. What is not understood is
// an error: it may be a mark.
func (l *Ledger) Learn(key string, value []byte) error {
	place, err := ParsePlace(key)
	if err != nil {
		return fmt.Errorf("read the ledger of dead letters: %w", err)
	}
	if value == nil {
		delete(l.identity, l.marks[place].Identity)
		delete(l.marks, place)
		return nil
	}
	var m Mark
	if err := json.Unmarshal(value, &m); err != nil || m.Action == "" {
		return fmt.Errorf("read the ledger of dead letters: the mark of %s is not understood; is another version of the gateway in use?", key)
	}
	l.set(place, m)
	return nil
}

func (l *Ledger) set(place Place, m Mark) {
	l.marks[place] = m
	if m.Identity != "" {
		l.identity[m.Identity] = place
	}
}

// Of is what became of a letter, and its mark if there is one. Of two letters of one failure
// that wait, the second that is asked about is a duplicate.
func (l *Ledger) Of(letter *Letter) (State, *Mark) {
	if m, ok := l.marks[letter.Place]; ok && m.Written == letter.Written.UnixMilli() {
		return stateOf(m), &m
	}
	id := letter.Identity()
	if id == "" {
		return Waiting, nil
	}
	if place, ok := l.identity[id]; ok && place != letter.Place {
		if m, ok := l.marks[place]; ok {
			return stateOf(m), &m
		}
	}
	if first, ok := l.seen[id]; ok && first != letter.Place {
		return Duplicate, nil
	}
	l.seen[id] = letter.Place
	return Waiting, nil
}

func stateOf(m Mark) State {
	if m.Action == Dropped {
		return IsDropped
	}
	return IsDone
}

// Len is the number of marks.
func (l *Ledger) Len() int { return len(l.marks) }

// gone are the places of marks whose dead letters Kafka has deleted: nobody can ask about them
// any more. A mark is kept for goneAfter in any case, for people who look for it.
func (l *Ledger) gone(topic string, spans []Span, now time.Time) (places []Place) {
	from := map[int32]int64{}
	for _, s := range spans {
		from[s.Number] = s.From
	}
	for p, m := range l.marks {
		if first, ok := from[p.Partition]; p.Topic == topic && ok && p.Offset+twinSpan < first && now.Sub(m.At) > goneAfter {
			places = append(places, p)
		}
	}
	return places
}

// twinSpan is how far behind a dead letter another one of the same failure is written at most:
// the mark of the first is that of both.
const (
	goneAfter = 7 * 24 * time.Hour
	twinSpan  = 1000
)

func markOf(letter *Letter, action Action, by string, now time.Time) Mark {
	return Mark{Action: action, By: by, At: now.UTC().Truncate(time.Millisecond), Written: letter.Written.UnixMilli(), Identity: letter.Identity()}
}

func (m Mark) encode() []byte {
	text, _ := json.Marshal(m) // strings and numbers
	return text
}
