package deadletter

import (
	"context"
	"maps"
	"time"
)

// Job says what to replay, or to drop.
type Job struct {
	Topics []string // of dead letters
	Filter Filter
	Target Target
	By     string // who does it
	Reason string // for people; "" is none
	// Rate is how many letters a second, at most; 0: no limit.
	Rate float64
	// Again replays letters as well that were replayed before that time; zero: none.
	Again time.Time
	Drop  bool // instead of replaying
}

// Tally is how far a replay is.
type Tally struct {
	Total   int // letters that the filter takes and that can be replayed
	Done    int
	Before  int // replayed or dropped before
	Twice   int // second dead letters of one failure
	Left    map[Obstacle]int
	Refused map[string]int // by the door, by reason
	Targets map[string]int // of Total, in words
	Later   Later          // of Total, in a plan
	Started time.Time
	Took    time.Duration
}

func newTally() Tally {
	return Tally{Left: map[Obstacle]int{}, Refused: map[string]int{}, Targets: map[string]int{}}
}

// Plan says what a job would do. visit, if not nil, is called for each letter to replay.
func Plan(ctx context.Context, job Job, from Source, ledger *Ledger, visit func(*Record, *Letter)) (Tally, error) {
	t := newTally()
	err := Find(ctx, from, job.Topics, job.Filter, func(r *Record, l Letter) error {
		if job.take(ledger, &l, &t) {
			t.Total++
			t.Targets[job.words(&l)]++
			if visit != nil {
				visit(r, &l)
			}
		}
		return nil
	})
	return t, err
}

func (j *Job) words(l *Letter) string {
	if j.Drop {
		return "dropped"
	}
	return j.Target.Words(l)
}

// take reports whether a letter is to be replayed, and counts it if not.
func (j *Job) take(ledger *Ledger, l *Letter, t *Tally) bool {
	state, mark := ledger.Of(l)
	switch {
	case state == Duplicate && !j.Drop:
		t.Twice++
		return false
	case state != Waiting && state != Duplicate && (j.Again.IsZero() || !mark.At.Before(j.Again)):
		t.Before++
		return false
	case j.Drop:
		return true
	}
	if why := j.Target.Obstacle(l); why != "" {
		t.Left[why]++
		return false
	}
	return true
}

// clone is a copy with maps of its own.
func (t *Tally) clone() Tally {
	c := *t
	c.Left, c.Refused, c.Targets = maps.Clone(t.Left), maps.Clone(t.Refused), maps.Clone(t.Targets)
	return c
}
