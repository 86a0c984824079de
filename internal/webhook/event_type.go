package webhook

import (
	"strings"

	"eventgateway/internal/event"
)

const typePlaceholder = "{type}"

// eventTypeTemplate turns the provider's type into an event type.
type eventTypeTemplate struct {
	before, after string
	fixed         bool // the provider's type does not matter
}

func parseEventType(text string, f *faults) eventTypeTemplate {
	before, after, found := strings.Cut(text, typePlaceholder)
	t := eventTypeTemplate{before: before, after: after, fixed: !found}
	switch {
	case text == "":
		f.add("event_type", "is missing; say \"shop.{type}\" for one event type per type of the provider, or a fixed one")
	case strings.ContainsAny(before+after, "{}"):
		f.add("event_type", "%q may have the placeholder {type} once, and no other", text)
	case !event.ValidTypeName(before + "x" + after):
		f.add("event_type", "%q is not an event type: letters, digits, \".\", \"_\" and \"-\", at most 200", text)
	}
	return t
}

// name is the event type for the provider's type; "" if that makes no valid name.
func (t eventTypeTemplate) name(providerType string) string {
	if t.fixed {
		return t.before
	}
	if providerType == "" {
		return ""
	}
	name := t.before + plain(providerType) + t.after
	if !event.ValidTypeName(name) {
		return ""
	}
	return name
}

// plain replaces every character that an event type may not have with ".".
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0x80 || !plainByte(byte(r&0x7f)) {
			return '.'
		}
		return r
	}, s)
}

func plainByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}
