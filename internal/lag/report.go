package lag

import (
	"encoding/json"
	"time"
)

// State is what a group's progress looks like, in one partition, or at its worst in a
// topic or all of them.
type State string

// The states, the worst first.
const (
	Lost       State = "lost"       // retention has deleted records that the group has not read
	Stuck      State = "stuck"      // a record waits, and nothing was committed for a while
	Ahead      State = "ahead"      // it has committed more than there is: the topic was made anew
	Rising     State = "rising"     // more and more waits
	Unreadable State = "unreadable" // Kafka does not tell
	Abandoned  State = "abandoned"  // a record waits, and no member reads the partition
	NoCommit   State = "no_commit"  // a member reads it, and has committed nothing
	Falling    State = "falling"    // less and less waits
	OK         State = "ok"         // nothing waits, or not more than before
)

// States are all states, the worst first.
var States = []State{Lost, Stuck, Ahead, Rising, Unreadable, Abandoned, NoCommit, Falling, OK}

// Rank is 0 for the worst state.
func (s State) Rank() int {
	for i, one := range States {
		if one == s {
			return i
		}
	}
	return len(States)
}

// worse is the worse of two states.
func worse(a, b State) State {
	if a == "" || b.Rank() < a.Rank() {
		return b
	}
	return a
}

// Count is a number of records or an offset, if it is known; in JSON null if not.
type Count struct {
	N     int64
	Known bool
}

func known(n int64) Count { return Count{n, true} }

// MarshalJSON implements json.Marshaler.
func (c Count) MarshalJSON() ([]byte, error) {
	if !c.Known {
		return []byte("null"), nil
	}
	return json.Marshal(c.N)
}

// add counts what is known.
func (c *Count) add(other Count) {
	if other.Known {
		c.N, c.Known = c.N+other.N, true
	}
}

// Age is how long a record has waited, if it is known; in JSON seconds, null if not.
type Age struct {
	D     time.Duration
	Known bool
}

func knownAge(d time.Duration) Age { return Age{d, true} }

// MarshalJSON implements json.Marshaler.
func (a Age) MarshalJSON() ([]byte, error) {
	if !a.Known {
		return []byte("null"), nil
	}
	return json.Marshal(a.D.Seconds())
}

// most keeps the greater of two ages.
func (a *Age) most(other Age) {
	if other.Known && (!a.Known || other.D > a.D) {
		*a = other
	}
}

// Report is what one pass found.
type Report struct {
	At     time.Time     `json:"at"`
	Took   time.Duration `json:"took_ns"`
	Groups []Group       `json:"groups"` // by name
	// Unanswered says which brokers did not answer: groups of theirs may be missing.
	Unanswered []string `json:"unanswered,omitempty"`
	// Unread is in how many partitions a record waits whose age was not read because the pass
	// had read enough: they come first in the next one.
	Unread int `json:"unread_partitions"`
}

// Group is one consumer group.
type Group struct {
	Name    string  `json:"group"`
	Type    string  `json:"type"`        // classic, consumer, share or streams
	Kafka   string  `json:"kafka_state"` // Stable, Empty, …
	Members Count   `json:"members"`
	State   State   `json:"state"`
	Error   string  `json:"error,omitempty"` // why Kafka does not tell
	Kind    Reason  `json:"-"`
	Topics  []Topic `json:"topics"` // by name
}

// Topic is how far a group is in one topic: sums of what is known, and the greatest age.
type Topic struct {
	Name        string  `json:"topic"`
	State       State   `json:"state"`
	Records     Count   `json:"records"`
	Undelivered Count   `json:"undelivered_records"`
	Lost        int64   `json:"lost_records"`
	Age         Age     `json:"seconds"`
	Retention   *Ratio  `json:"retention_used,omitempty"`
	History     []int64 `json:"history,omitempty"` // undelivered records of the last passes, the oldest first
	// Change is by how many more undelivered records there are each second, over the passes of
	// History.
	Change     *float64       `json:"change_per_second,omitempty"`
	Unknown    int            `json:"unknown_partitions"` // partitions of which it is not known what waits
	Unreadable map[Reason]int `json:"-"`                  // partitions of which something is not known
	States     StateCounts    `json:"-"`
	Partitions []Partition    `json:"partitions,omitempty"`
}

// Ratio is the age of the oldest record that waits as a part of how long the topic keeps
// records: at 1, records are deleted unread.
type Ratio float64

// Partition is how far a group is in one partition.
type Partition struct {
	Number      int32  `json:"partition"`
	State       State  `json:"state"`
	Committed   Count  `json:"committed"`
	Start       Count  `json:"log_start"`
	Stable      Count  `json:"last_stable"`
	End         Count  `json:"log_end"`
	Records     Count  `json:"records"`
	Undelivered Count  `json:"undelivered_records"`
	Lost        int64  `json:"lost_records"`
	Age         Age    `json:"seconds"`
	Host        string `json:"host,omitempty"` // of the member that reads it
	// FutureTime: the record claims to be from after now, so its age is shown as 0.
	FutureTime bool   `json:"future_timestamp,omitempty"`
	Error      string `json:"error,omitempty"`
	Kind       Reason `json:"-"`
}

// Reason is why something could not be read, for metrics.
type Reason string

// The reasons.
const (
	ReasonNone       Reason = ""
	ReasonPermission Reason = "permission"
	ReasonMissing    Reason = "missing" // the topic is gone
	ReasonOther      Reason = "unavailable"
)

// StateCounts is how many partitions are in each state.
type StateCounts [9]int

func (c *StateCounts) add(s State) {
	if r := s.Rank(); r < len(c) {
		c[r]++
	}
}
