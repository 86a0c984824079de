package torture

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// PushID names an event that a subscription delivers: the n-th of its entity, from 0, in
// the order of its topic.
type PushID struct {
	Entity string
	Seq    int
}

func (id PushID) String() string { return fmt.Sprintf("event %d of entity %s", id.Seq, id.Entity) }

// PushEvent is an event that was written.
type PushEvent struct {
	PushID
	Poison int // the endpoint answers all its attempts with this status; 0: it can be delivered
}

// PushLetter is a dead letter.
type PushLetter struct {
	PushID
	Key      string
	Reason   string
	Attempts int
	Written  time.Time
}

// Pushes is what an endpoint saw of a subscription's attempts.
type Pushes struct {
	// OnLate is called, if it is set before the first attempt, when an event is delivered for
	// the first time after an attempt for a later one of its entity.
	OnLate func(PushID)

	mu       sync.Mutex
	seen     map[PushID]*pushed
	entities map[string]*pushedEntity
	owners   map[string]PushID // by webhook-id
	taken    int
	repeated int
	faults   []Violation
}

// pushed is what the endpoint saw of one event.
type pushed struct {
	first    time.Time // attempt
	arrivals int
	number   int   // the highest that an attempt had
	missing  []int // of the entity, before this one, not delivered at the first attempt
	taken    bool
	answered bool // it was delivered, and the gateway may know it
	webhook  string
}

type pushedEntity struct {
	below int // all before it were delivered
	taken map[int]bool
	last  int // the last of which an attempt came
}

// NewPushes returns one that has seen nothing.
func NewPushes() *Pushes {
	return &Pushes{seen: map[PushID]*pushed{}, entities: map[string]*pushedEntity{}, owners: map[string]PushID{}}
}

// Arrived notes an attempt that came: its number, and its webhook-id.
func (p *Pushes) Arrived(id PushID, number int, webhook string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	entity := p.entities[id.Entity]
	if entity == nil {
		entity = &pushedEntity{taken: map[int]bool{}}
		p.entities[id.Entity] = entity
	}
	entity.last = max(entity.last, id.Seq)
	e := p.seen[id]
	if e == nil {
		e = &pushed{first: time.Now(), webhook: webhook}
		for seq := entity.below; seq < id.Seq; seq++ {
			if !entity.taken[seq] {
				e.missing = append(e.missing, seq)
			}
		}
		p.seen[id] = e
		if owner, used := p.owners[webhook]; used {
			p.fault("c", "%s has the webhook-id of %s", id, owner)
		}
		p.owners[webhook] = id
	}
	if webhook != e.webhook {
		p.fault("c", "%s came with two webhook-ids, %s and %s", id, e.webhook, webhook)
	}
	if number < e.number && !e.taken { // after a delivery, its count is gone
		p.fault("h", "attempt %d of %s came after attempt %d", number, id, e.number)
	}
	e.arrivals++
	e.number = max(e.number, number)
}

// Taken notes that the endpoint has taken an event. It is called before the answer goes
// out; answered is false if none will.
func (p *Pushes) Taken(id PushID, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, entity := p.seen[id], p.entities[id.Entity]
	if e.taken {
		if e.answered {
			p.repeated++
		}
		e.answered = e.answered || answered
		return
	}
	e.taken, e.answered = true, answered
	p.taken++
	if id.Seq < entity.last && p.OnLate != nil {
		p.OnLate(id)
	}
	entity.taken[id.Seq] = true
	for entity.taken[entity.below] {
		delete(entity.taken, entity.below)
		entity.below++
	}
}

// Count is how many different events were taken.
func (p *Pushes) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// TakenOf is how many different events of an entity were taken.
func (p *Pushes) TakenOf(entity string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, one := range p.seen {
		if id.Entity == entity && one.taken {
			n++
		}
	}
	return n
}

// Repeated is how often an event came again after its delivery was acknowledged.
func (p *Pushes) Repeated() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.repeated
}

func (p *Pushes) fault(rule, format string, args ...any) {
	const most = 1000 // more say nothing new
	if len(p.faults) < most {
		p.faults = append(p.faults, Violation{Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
}

// PushFacts are what the rules need to know of a run.
type PushFacts struct {
	Attempts int // of the retry policy
	// MostRepeated bounds deliveries of events that were acknowledged before, and dead
	// letters that are there twice.
	MostRepeated int
	// MostGivenUp bounds dead letters of events that the endpoint would have taken.
	MostGivenUp int
	// CutOff is how often a gateway may have gone on with partitions that another one had:
	// it was paused, or without Kafka, for a while. Its numbers of attempts are old then, and
	// its requests may fail before they are sent.
	CutOff int
}

// CheckPushes compares what was written with what the endpoint saw and with the dead
// letters:
//
//	(a) every event was taken by the endpoint, or its dead letter is there
//	(b) few come again that were acknowledged
//	(c) nothing else comes: no other event, no webhook-id of another event, and no dead
//	    letter without its cause
//	(d) the first attempt for an event comes when those of its entity before it are taken or
//	    dead
//	(h) the number of an event's attempts never goes back, and it dies after exactly as many
//	    as are configured
func CheckPushes(written []PushEvent, letters []PushLetter, p *Pushes, facts PushFacts) []Violation {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := pushCheck{pushes: p, facts: facts, events: make(map[PushID]PushEvent, len(written)), dead: map[PushID]PushLetter{}}
	for _, v := range p.faults {
		if v.Rule != "h" || facts.CutOff == 0 {
			c.found = append(c.found, v)
		}
	}
	for _, e := range written {
		c.events[e.PushID] = e
	}
	c.letters(letters)
	for _, e := range written {
		if _, dead := c.dead[e.PushID]; !dead && (p.seen[e.PushID] == nil || !p.seen[e.PushID].taken) {
			c.report("a", "%s is lost: it was not delivered, and has no dead letter", e.PushID)
		}
	}
	c.order()
	if c.twice += p.repeated; c.twice > facts.MostRepeated {
		c.report("b", "%d events came again after they were acknowledged, or have two dead letters; at most %d are explained", c.twice, facts.MostRepeated)
	}
	slices.SortStableFunc(c.found, func(a, b Violation) int { return cmp.Compare(a.Rule, b.Rule) })
	return c.found
}

type pushCheck struct {
	pushes *Pushes
	facts  PushFacts
	events map[PushID]PushEvent
	dead   map[PushID]PushLetter
	twice  int // dead letters
	found  []Violation
}

func (c *pushCheck) report(rule, format string, args ...any) {
	c.found = append(c.found, Violation{Rule: rule, Text: fmt.Sprintf(format, args...)})
}

// letters checks the dead letters, and keeps the first of each event.
func (c *pushCheck) letters(all []PushLetter) {
	givenUp := 0
	for _, l := range all {
		e, known := c.events[l.PushID]
		if !known || l.Key != l.Entity {
			c.report("c", "the dead letter of %s, key %q: no such event was written", l.PushID, l.Key)
			continue
		}
		if first, twice := c.dead[l.PushID]; twice {
			c.twice++
			if !l.Written.Before(first.Written) {
				continue
			}
		}
		c.dead[l.PushID] = l
		if e.Poison == 0 {
			givenUp++
		}
		arrivals := 0
		if s := c.pushes.seen[l.PushID]; s != nil {
			arrivals = s.arrivals
		}
		if arrivals+c.facts.CutOff < max(1, l.Attempts) {
			c.report("c", "%s is dead (%s) after %d attempts; %d came", l.PushID, l.Reason, l.Attempts, arrivals)
		}
		if l.Reason == "attempts" && l.Attempts != c.facts.Attempts {
			c.report("h", "%s is dead after %d attempts, not %d", l.PushID, l.Attempts, c.facts.Attempts)
		}
	}
	if givenUp > c.facts.MostGivenUp {
		c.report("c", "%d events are dead that the endpoint would have taken; at most %d are explained", givenUp, c.facts.MostGivenUp)
	}
}

func (c *pushCheck) order() {
	for id, e := range c.pushes.seen {
		if _, known := c.events[id]; !known {
			c.report("c", "%s came, and was not written", id)
		}
		for _, seq := range e.missing {
			before := PushID{id.Entity, seq}
			// Kafka's times are whole milliseconds.
			if l, dead := c.dead[before]; !dead || l.Written.After(e.first) {
				c.report("d", "the first attempt for %s came before event %d was delivered or dead", id, seq)
			}
		}
	}
}
