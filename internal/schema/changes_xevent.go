package schema

import (
	"fmt"
	"slices"
	"strings"

	"eventgateway/internal/event"
	"eventgateway/internal/schema/compat"
)

// xeventChanges compares what the gateway does with two versions. It ignores
// on_store_failure, which matters only while the store is away and changes neither
// what is accepted nor where it goes.
func xeventChanges(old, now *event.Definition) []Change {
	var changes []Change
	add := func(member string, verdict compat.Verdict, direction compat.Direction, format string, args ...any) {
		changes = append(changes, Change{
			Kind: XEventChanged, Verdict: verdict, Direction: direction,
			Pointer: "/x-event/" + member, Keyword: "x-event", Message: fmt.Sprintf(format, args...),
		})
	}
	if old.Topic != now.Topic {
		add("topic", compat.Breaking, Both, "the topic was %s and is %s: consumers of %s get no more of these events", old.Topic, now.Topic, old.Topic)
	}
	if !slices.Equal(old.KeyPointers, now.KeyPointers) {
		add("key", compat.Breaking, Both, "the entity key was %s and is %s: events of one entity from before and after may be in different partitions, out of order",
			keyName(old.KeyPointers), keyName(now.KeyPointers))
	}
	if now.IdempotencyRequired && !old.IdempotencyRequired {
		add("idempotency", compat.Breaking, compat.Backward, "an Idempotency-Key is required and was not: events without one are refused")
	}
	if old.Tombstones && !now.Tombstones {
		add("tombstones", compat.Breaking, compat.Backward, "tombstones were allowed and are not: DELETE of a key is refused")
	}
	if now.Tombstones && !old.Tombstones {
		add("tombstones", compat.Breaking, compat.Forward, "tombstones are allowed and were not: consumers get records without a value")
	}
	for _, rule := range old.Headers {
		if !slices.ContainsFunc(now.Headers, func(r event.HeaderRule) bool { return r.Record == rule.Record }) {
			add("headers", compat.Breaking, compat.Forward, "the record header %s was kept from the request and is not: consumers get no more of it", rule.Record)
		}
	}
	switch {
	case now.BodyLimit == 0: // only the gateway's own limit, which always applies
	case old.BodyLimit == 0:
		add("body_limit", compat.CannotTell, compat.Backward,
			"body_limit is %d bytes and was not said: larger events are refused, unless http.body_limit refused them before", now.BodyLimit)
	case now.BodyLimit < old.BodyLimit:
		add("body_limit", compat.Breaking, compat.Backward, "body_limit was %d bytes and is %d: larger events are refused", old.BodyLimit, now.BodyLimit)
	}
	return changes
}

// keyName writes a key as it is in the file.
func keyName(pointers []string) string {
	switch len(pointers) {
	case 0:
		return "null"
	case 1:
		return fmt.Sprintf("%q", pointers[0])
	}
	parts := make([]string, len(pointers))
	for i, p := range pointers {
		parts[i] = fmt.Sprintf("%q", p)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
