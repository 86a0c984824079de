package publish

import (
	"maps"
	"slices"

	"eventgateway/internal/event"
)

// AnyType stands for every event type, in [Reader.SetTypes].
const AnyType = event.AnyType

// homes are the event types that are written to each topic. The headers of a record often
// reach other topics, because Kafka Streams copies them: there they prove nothing.
type homes struct {
	byTopic map[string]map[string]bool
	types   map[string]bool // of all topics
	// complete says that other gateways' types are among them. If not, a type that no
	// topic has may be one that only another gateway's schemas know.
	complete bool
}

func newHomes(places map[place]placeState, complete bool) *homes {
	h := &homes{byTopic: map[string]map[string]bool{}, types: map[string]bool{}, complete: complete}
	for p := range places {
		if h.byTopic[p.topic] == nil {
			h.byTopic[p.topic] = map[string]bool{}
		}
		h.byTopic[p.topic][p.eventType] = true
		h.types[p.eventType] = true
	}
	return h
}

// has says whether events of the type are written to the topic. All are to a topic that
// it does not know.
func (h *homes) has(topic string, eventType []byte) bool {
	if h == nil {
		return true
	}
	types, named := h.byTopic[topic]
	return !named || types[AnyType] || types[string(eventType)]
}

// typesOf are the event types whose events are, or were, written to a topic.
func (h *homes) typesOf(topic string) []string {
	if h == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(h.byTopic[topic]))
}

// SetTypes says which event types are written to which topic. Records of other types are
// copies and count for nothing there, unless an earlier call named them. Until it is
// called, and in other topics, every type counts.
func (r *Reader) SetTypes(byTopic map[string][]string) { r.homes.Store(r.remembered.set(byTopic)) }

// wrote says whether a gateway surely wrote the record, to the topic where it is. Each of
// a gateway's records has a version header, with and without a claim.
func (r *Reader) wrote(m *logRecord) bool {
	return m.header(event.HeaderVersion) != nil && r.homes.Load().has(m.Topic, m.header(event.HeaderType))
}

// atHome says whether a record with a claim is where a gateway may have written it.
func (r *Reader) atHome(m *logRecord) bool {
	h, eventType := r.homes.Load(), m.header(event.HeaderType)
	return h.has(m.Topic, eventType) || !h.complete && !h.types[string(eventType)]
}
