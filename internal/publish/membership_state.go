package publish

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"eventgateway/internal/event"
)

// The keys of the topic of gateways.
const (
	gatewayKey    = "gateway/"    // and the process id
	overKey       = "over/"       // and the process id
	generationKey = "generation/" // and the number, a slash, and a name of its own
)

// gatewayValue is the value of a registration.
type gatewayValue struct {
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
	Renewed time.Time `json:"renewed"`
	// Renewal counts the renewals of the process, from 1.
	Renewal uint64 `json:"renewal"`
}

// overValue ends a registration unless it was renewed again. A tombstone could not say
// that: the process may have renewed its registration a moment before it is appended.
type overValue struct {
	Renewal uint64 `json:"renewal"` // the newest that ends
}

// generationValue is the value of a generation.
type generationValue struct {
	Process string    `json:"process"` // that raised it
	Raised  time.Time `json:"raised"`
}

// members is what the topic of gateways says, up to the record that was applied last.
type members struct {
	gateways    map[string]member     // by process id
	generations map[uint64]generation // that count, by number
	keys        map[string]uint64     // the numbers of all keys of generations, those that do not count included
	newest      uint64                // 0: none
}

type member struct {
	gatewayValue
	over uint64 // renewals up to this one are over
}

func (m member) registered() bool { return m.Renewal > m.over }

type generation struct {
	event.Generation
	key string
}

func newMembers() members {
	return members{gateways: map[string]member{}, generations: map[uint64]generation{}, keys: map[string]uint64{}}
}

// apply takes the next record of the topic; a nil value is a tombstone. To apply records
// again that were applied before, in the same order, changes nothing in the end.
func (m *members) apply(key string, value []byte) {
	if id, ok := strings.CutPrefix(key, gatewayKey); ok {
		m.applyGateway(id, value)
	} else if id, ok := strings.CutPrefix(key, overKey); ok {
		m.applyOver(id, value)
	} else if rest, ok := strings.CutPrefix(key, generationKey); ok {
		text, _, _ := strings.Cut(rest, "/")
		if number, err := strconv.ParseUint(text, 10, 64); err == nil {
			m.applyGeneration(number, key, value)
		}
	}
}

func (m *members) applyGateway(id string, value []byte) {
	one := m.gateways[id]
	if value == nil {
		one.gatewayValue = gatewayValue{}
		m.keep(id, one)
		return
	}
	var v gatewayValue
	// Two renewals under way at once may be appended the other way round.
	if json.Unmarshal(value, &v) == nil && v.Renewal >= one.Renewal {
		one.gatewayValue = v
		m.keep(id, one)
	}
}

func (m *members) applyOver(id string, value []byte) {
	one := m.gateways[id]
	var v overValue
	if value == nil || json.Unmarshal(value, &v) == nil {
		one.over = v.Renewal
		m.keep(id, one)
	}
}

func (m *members) keep(id string, one member) {
	if one.Renewal == 0 && one.over == 0 {
		delete(m.gateways, id)
		return
	}
	m.gateways[id] = one
}

// applyGeneration counts the first record with a number, if no higher number was before
// it: one that was under way for long may be appended late.
func (m *members) applyGeneration(number uint64, key string, value []byte) {
	if value == nil {
		delete(m.keys, key)
		if m.generations[number].key == key {
			delete(m.generations, number)
		}
		return
	}
	m.keys[key] = number
	var v generationValue
	if number <= m.newest || json.Unmarshal(value, &v) != nil {
		return
	}
	m.newest = number
	m.generations[number] = generation{event.Generation{Number: number, Raised: v.Raised}, key}
}

// current is the newest generation.
func (m *members) current() event.Generation {
	if g, ok := m.generations[m.newest]; ok {
		return g.Generation
	}
	return event.Generation{Number: m.newest} // 0, or somebody has deleted it
}

// registered lists the gateways, by id.
func (m *members) registered() []event.Gateway {
	var all []event.Gateway
	for id, one := range m.gateways {
		if one.registered() {
			all = append(all, event.Gateway{ID: id, Host: one.Host, Renewed: one.Renewed})
		}
	}
	slices.SortFunc(all, func(a, b event.Gateway) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// renewals are the newest renewals of all processes.
func (m *members) renewals() map[string]uint64 {
	all := make(map[string]uint64, len(m.gateways))
	for id, one := range m.gateways {
		all[id] = one.Renewal
	}
	return all
}

// outdated lists the keys that nobody needs any more, in the order in which they are to
// be deleted: what is older than since, but never the newest generation. Of the keys with
// one number, that which counts is the last: it counts as long as others are there.
func (m *members) outdated(since time.Time) []string {
	var keys []string
	for _, id := range slices.Sorted(maps.Keys(m.gateways)) {
		switch one := m.gateways[id]; {
		case one.Renewal == 0:
			keys = append(keys, overKey+id)
		case one.Renewed.Before(since) && one.over > 0:
			keys = append(keys, gatewayKey+id, overKey+id)
		case one.Renewed.Before(since):
			keys = append(keys, gatewayKey+id)
		}
	}
	var losers, counted []string
	for _, key := range slices.Sorted(maps.Keys(m.keys)) {
		number := m.keys[key]
		g, known := m.generations[number]
		switch {
		case number >= m.newest || known && !g.Raised.Before(since):
		case g.key == key:
			counted = append(counted, key)
		default:
			losers = append(losers, key)
		}
	}
	return slices.Concat(keys, losers, counted)
}
