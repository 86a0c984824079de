package torture

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCheckPushesSeesFaults(t *testing.T) {
	t.Parallel()
	written := func(n int) (list []PushEvent) {
		for seq := range n {
			list = append(list, PushEvent{PushID: PushID{"a", seq}})
		}
		return list
	}
	deliver := func(p *Pushes, seqs ...int) {
		for _, seq := range seqs {
			p.Arrived(PushID{"a", seq}, 1, fmt.Sprint("msg-", seq))
			p.Taken(PushID{"a", seq}, true)
		}
	}
	letter := func(seq, attempts int) PushLetter {
		return PushLetter{PushID: PushID{"a", seq}, Key: "a", Reason: "attempts", Attempts: attempts, Written: time.Now()}
	}
	for name, c := range map[string]struct {
		poison []int
		facts  PushFacts
		run    func(p *Pushes) []PushLetter
		broken string // rules
	}{
		"all in order": {run: func(p *Pushes) []PushLetter { deliver(p, 0, 1, 2); return nil }},
		"acknowledged, and again": {
			facts: PushFacts{MostRepeated: 2},
			run:   func(p *Pushes) []PushLetter { deliver(p, 0, 1, 1, 2, 0); return nil },
		},
		"too many again": {broken: "b", facts: PushFacts{MostRepeated: 1}, run: func(p *Pushes) []PushLetter { deliver(p, 0, 1, 1, 2, 0); return nil }},
		"again after a lost answer": {run: func(p *Pushes) []PushLetter {
			p.Arrived(PushID{"a", 0}, 1, "msg-0")
			p.Taken(PushID{"a", 0}, false)
			deliver(p, 0, 1, 2)
			return nil
		}},
		"lost": {broken: "a", run: func(p *Pushes) []PushLetter { deliver(p, 0, 1); return nil }},
		"lost in the middle": {broken: "ad", run: func(p *Pushes) []PushLetter {
			deliver(p, 0, 2)
			return nil
		}},
		"out of order": {broken: "d", run: func(p *Pushes) []PushLetter { deliver(p, 0, 2, 1); return nil }},
		"an attempt too early": {broken: "d", run: func(p *Pushes) []PushLetter {
			p.Arrived(PushID{"a", 0}, 1, "msg-0")
			p.Arrived(PushID{"a", 1}, 1, "msg-1")
			deliver(p, 0, 1, 2)
			return nil
		}},
		"dead, and then the next": {facts: PushFacts{Attempts: 1, MostGivenUp: 1}, run: func(p *Pushes) []PushLetter {
			deliver(p, 0)
			p.Arrived(PushID{"a", 1}, 1, "msg-1")
			l := letter(1, 1)
			deliver(p, 2)
			return []PushLetter{l}
		}},
		"dead only after the next": {broken: "d", facts: PushFacts{Attempts: 1, MostGivenUp: 1}, run: func(p *Pushes) []PushLetter {
			deliver(p, 0)
			p.Arrived(PushID{"a", 1}, 1, "msg-1")
			deliver(p, 2)
			l := letter(1, 1)
			l.Written = l.Written.Add(time.Millisecond)
			return []PushLetter{l}
		}},
		"given up without a reason": {broken: "c", facts: PushFacts{Attempts: 1}, run: func(p *Pushes) []PushLetter {
			deliver(p, 0, 1)
			p.Arrived(PushID{"a", 2}, 1, "msg-2")
			return []PushLetter{letter(2, 1)}
		}},
		"poison is given up": {poison: []int{2}, facts: PushFacts{Attempts: 1}, run: func(p *Pushes) []PushLetter {
			deliver(p, 0, 1)
			p.Arrived(PushID{"a", 2}, 1, "msg-2")
			return []PushLetter{letter(2, 1)}
		}},
		"dead too soon": {broken: "ch", facts: PushFacts{Attempts: 3, MostGivenUp: 1}, run: func(p *Pushes) []PushLetter {
			deliver(p, 0, 1)
			p.Arrived(PushID{"a", 2}, 1, "msg-2")
			return []PushLetter{letter(2, 2)}
		}},
		"a number goes back": {broken: "h", run: func(p *Pushes) []PushLetter {
			deliver(p, 0, 1)
			p.Arrived(PushID{"a", 2}, 2, "msg-2")
			deliver(p, 2)
			return nil
		}},
		"a number goes back at a gateway that was cut off": {facts: PushFacts{CutOff: 1}, run: func(p *Pushes) []PushLetter {
			deliver(p, 0, 1)
			p.Arrived(PushID{"a", 2}, 2, "msg-2")
			deliver(p, 2)
			return nil
		}},
		"never written": {broken: "c", run: func(p *Pushes) []PushLetter { deliver(p, 0, 1, 2, 3); return nil }},
		"another webhook-id": {broken: "c", facts: PushFacts{MostRepeated: 1}, run: func(p *Pushes) []PushLetter {
			deliver(p, 0, 1, 2)
			p.Arrived(PushID{"a", 2}, 1, "msg-x")
			return nil
		}},
		"a webhook-id of two": {broken: "c", run: func(p *Pushes) []PushLetter {
			deliver(p, 0, 1)
			p.Arrived(PushID{"a", 2}, 1, "msg-0")
			p.Taken(PushID{"a", 2}, true)
			return nil
		}},
		"a dead letter of another key": {broken: "c", run: func(p *Pushes) []PushLetter {
			deliver(p, 0, 1, 2)
			l := letter(2, 1)
			l.Key = "b"
			return []PushLetter{l}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := NewPushes()
			letters, events := c.run(p), written(3)
			for _, seq := range c.poison {
				events[seq].Poison = 500
			}
			rules := map[string]bool{}
			for _, v := range CheckPushes(events, letters, p, c.facts) {
				rules[v.Rule] = true
			}
			broken := ""
			for _, rule := range []string{"a", "b", "c", "d", "h"} {
				if rules[rule] {
					broken += rule
				}
			}
			require.Equal(t, c.broken, broken)
		})
	}
}

// A run can end at the first event that comes too late.
func TestPushesTellOfALateEvent(t *testing.T) {
	t.Parallel()
	p := NewPushes()
	var late []PushID
	p.OnLate = func(id PushID) { late = append(late, id) }
	for _, seq := range []int{0, 2, 1, 3} {
		p.Arrived(PushID{"a", seq}, 1, fmt.Sprint(seq))
		p.Taken(PushID{"a", seq}, true)
	}
	require.Equal(t, []PushID{{"a", 1}}, late)
	require.Equal(t, 4, p.Count())
	require.Zero(t, p.Repeated())
}
