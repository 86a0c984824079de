package publish

import "eventgateway/internal/event"

// AnyType stands for every event type, in [Reader.SetTypes].
const AnyType = "*"

// homes are the event types that are written to each topic. The headers of a record often
// reach other topics, because Kafka Streams copies them: there they prove nothing.
type homes map[string]map[string]bool

// SetTypes says which event types are written to which topic. Records of other types are
// copies and count for nothing there, unless an earlier call named them. Until it is
// called, and in other topics, every type counts.
func (r *Reader) SetTypes(byTopic map[string][]string) {
	all := r.remembered.set(byTopic)
	r.homes.Store(&all)
}

// wrote says whether a gateway wrote the record, to the topic where it is. Each of a
// gateway's records has a version header, with and without a claim.
func (r *Reader) wrote(m *logRecord) bool {
	return m.header(event.HeaderVersion) != nil && r.atHome(m)
}

// atHome says whether a gateway writes events of the record's type to its topic.
func (r *Reader) atHome(m *logRecord) bool {
	all := r.homes.Load()
	if all == nil {
		return true
	}
	types, named := (*all)[m.Topic]
	return !named || types[AnyType] || types[string(m.header(event.HeaderType))]
}
