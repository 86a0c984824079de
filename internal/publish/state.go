package publish

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Presence says whether a topic is there, as Kafka said when it was last asked.
type Presence string

// What the gateway knows of a topic.
const (
	TopicPresent   Presence = "present"
	TopicMissing   Presence = "missing"
	TopicBeingMade Presence = "being-created" // missing, and the gateway is about to create it
	TopicHidden    Presence = "hidden"        // the gateway may not see it
	TopicUnclear   Presence = "unclear"       // Kafka fails to describe it
	TopicNotAsked  Presence = "not-asked"     // Kafka has not answered yet, or was not asked for it yet
)

// TopicState is what events of a topic meet now.
type TopicState struct {
	Presence Presence
	// Refused says why no event is taken, Partly why those of some partitions are not;
	// empty if there is no reason.
	Refused, Partly string
}

// Quarantined is a topic that Kafka refuses, or of which partitions do not acknowledge.
type Quarantined struct {
	Topic      string
	Reason     string
	Partitions []int32 // nil: all
	Since      time.Time
}

// Takes says why no event can be written at present, whatever its topic; nil if events
// can. It asks nobody.
func (p *Producer) Takes() error {
	switch {
	case p.topics.known.Load() == nil:
		return errors.New("kafka has not told its topics yet")
	case p.monitor.down.Load():
		return errors.New("kafka does not answer")
	}
	return p.backend.ready()
}

// TopicStates are those of the topics by name, from metadata that are at most half a
// minute old. It waits for nobody, but lets Kafka be asked again if partitions cannot be
// written to.
func (p *Producer) TopicStates(names []string) map[string]TopicState {
	held := map[string][]Quarantined{}
	for _, q := range p.Quarantine() {
		held[q.Topic] = append(held[q.Topic], q)
	}
	states, unsound := make(map[string]TopicState, len(names)), false
	for _, name := range names {
		t, found := p.topics.lookup(name)
		if found != topicFound {
			states[name] = TopicState{Presence: p.topics.presenceOf(name)}
			continue
		}
		states[name] = t.state(held[name])
		unsound = unsound || states[name].Refused != "" || states[name].Partly != ""
	}
	if unsound {
		p.topics.refreshSoon()
	}
	return states
}

// state is that of a topic that is there.
func (t topic) state(held []Quarantined) TopicState {
	s := TopicState{Presence: TopicPresent}
	refused := map[int32]bool{}
	var why []string
	for _, q := range held {
		if q.Partitions == nil {
			s.Refused = "Kafka refuses it: " + q.Reason
			return s
		}
		for _, number := range q.Partitions {
			refused[number] = true
		}
		why = append(why, partitionsText(q.Partitions, "acknowledge nothing"))
	}
	leaderless := t.numbers(func(n int) bool { return t.leaders[n] < 0 })
	few := t.numbers(func(n int) bool { return t.leaders[n] >= 0 && t.inSync[n] < t.minInSync })
	for _, number := range slices.Concat(leaderless, few) {
		refused[number] = true
	}
	if leaderless != nil {
		why = append(why, partitionsText(leaderless, "have no leader"))
	}
	if few != nil {
		why = append(why, partitionsText(few, fmt.Sprintf("have fewer than %d replicas in sync (min.insync.replicas)", t.minInSync)))
	}
	text := strings.Join(why, "; ")
	switch {
	case len(refused) >= int(t.partitions):
		s.Refused = text
	default:
		s.Partly = text
	}
	return s
}

// numbers are the partitions for which is returns true.
func (t topic) numbers(is func(int) bool) (list []int32) {
	for n := range t.partitions {
		if int(n) < len(t.leaders) && is(int(n)) {
			list = append(list, n)
		}
	}
	return list
}

// namedPartitions bounds how many partitions a text names.
const namedPartitions = 5

func partitionsText(numbers []int32, what string) string {
	names := make([]string, 0, namedPartitions)
	for _, n := range numbers[:min(namedPartitions, len(numbers))] {
		names = append(names, fmt.Sprint(n))
	}
	text := strings.Join(names, ", ")
	if more := len(numbers) - namedPartitions; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return "partitions " + text + " " + what
}

// presenceOf is why a topic is not known.
func (t *topics) presenceOf(name string) Presence {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case slices.Contains(t.absent.hidden, name):
		return TopicHidden
	case slices.Contains(t.absent.unclear, name):
		return TopicUnclear
	case !slices.Contains(t.absent.missing, name):
		return TopicNotAsked
	case t.create.Enabled && !t.createFailed:
		return TopicBeingMade
	}
	return TopicMissing
}

// Quarantine lists what is in quarantine, ordered by topic.
func (p *Producer) Quarantine() []Quarantined { return p.monitor.quarantine.list() }
