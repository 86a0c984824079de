package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"eventgateway/internal/event"
	"eventgateway/internal/strictjson"
)

// maxBodyLimit bounds body_limit; the limits of Kafka are far lower.
const maxBodyLimit = 1 << 30

var (
	topicName     = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)
	bodyLimit     = regexp.MustCompile(`^([1-9][0-9]{0,9})(B|KiB|MiB)$`)
	xeventMembers = []string{"body_limit", "content_mode", "headers", "idempotency", "key", "on_store_failure", "tombstones", "topic"}
)

// xevent reads the keyword "x-event" into a definition.
type xevent struct {
	def      *event.Definition
	key      []strictjson.Pointer
	problems []Problem // File and Line still empty
}

func (x *xevent) problem(pointer, format string, args ...any) {
	x.problems = append(x.problems, Problem{Pointer: pointer, What: fmt.Sprintf(format, args...)})
}

// readXEvent reads the keyword from a schema's root.
func readXEvent(eventType, version string, root map[string]any) *xevent {
	x := &xevent{def: &event.Definition{Type: eventType, Version: version, Topic: eventType}}
	keyword, ok := root["x-event"]
	if !ok {
		x.problem("", "the keyword \"x-event\" is missing; add \"x-event\": {\"key\": \"/…\"} with the JSON Pointer of the entity's id")
		return x
	}
	members, ok := keyword.(map[string]any)
	if !ok {
		x.problem("/x-event", "must be an object, for example {\"key\": \"/orderId\"}")
		return x
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(xeventMembers, name) {
			hint := didYouMean(name, xeventMembers)
			if hint == "" {
				hint = "; known are " + strings.Join(xeventMembers, ", ")
			}
			x.problem("/x-event/"+strictjson.EscapeToken(name), "is not known%s", hint)
		}
	}
	x.readKey(members)
	x.readTopic(members)
	x.readIdempotency(members)
	x.readBodyLimit(members)
	x.readContentMode(members)
	x.readTombstones(members)
	x.readHeaders(members)
	return x
}

func (x *xevent) readKey(members map[string]any) {
	value, ok := members["key"]
	if !ok {
		x.problem("/x-event", "\"key\" must be said: a JSON Pointer such as \"/orderId\", a list of them, "+
			"or null for an event without entity, which may go to any partition")
		return
	}
	switch v := value.(type) {
	case nil:
	case string:
		x.addKey("/x-event/key", v)
	case []any:
		if len(v) == 0 {
			x.problem("/x-event/key", "is an empty list; name at least one JSON Pointer, or say null for no entity")
		}
		for i, item := range v {
			at := "/x-event/key/" + strconv.Itoa(i)
			text, ok := item.(string)
			if !ok {
				x.problem(at, "must be a JSON Pointer in a string")
				continue
			}
			if slices.Contains(x.def.KeyPointers, text) {
				x.problem(at, "names %s a second time", quoted(text))
				continue
			}
			x.addKey(at, text)
		}
	default:
		x.problem("/x-event/key", "must be a JSON Pointer such as \"/orderId\", a list of them, or null")
	}
}

func (x *xevent) addKey(at, text string) {
	p, err := parsePointer(text)
	if err != nil {
		x.problem(at, "%v", err)
		return
	}
	x.key = append(x.key, p)
	x.def.KeyPointers = append(x.def.KeyPointers, strings.Clone(text))
}

func (x *xevent) readTopic(members map[string]any) {
	if value, ok := members["topic"]; ok {
		topic, isString := value.(string)
		if !isString || !topicName.MatchString(topic) || topic == "." || topic == ".." {
			x.problem("/x-event/topic", "is not a Kafka topic name; write 1 to 249 of a-z A-Z 0-9 . _ -, but not \".\" or \"..\"")
			return
		}
		x.def.Topic = strings.Clone(topic)
		return
	}
}

func (x *xevent) readIdempotency(members map[string]any) {
	if value, ok := members["idempotency"]; ok {
		switch value {
		case "required":
			x.def.IdempotencyRequired = true
		case "optional":
		default:
			x.problem("/x-event/idempotency", "must be \"required\" or \"optional\"")
		}
	}
	if value, ok := members["on_store_failure"]; ok {
		switch value {
		case string(event.RejectOnStoreFailure):
			x.def.OnStoreFailure = event.RejectOnStoreFailure
		case string(event.PublishOnStoreFailure):
			x.def.OnStoreFailure = event.PublishOnStoreFailure
		default:
			x.problem("/x-event/on_store_failure", "must be %q or %q", event.RejectOnStoreFailure, event.PublishOnStoreFailure)
		}
	}
}

func (x *xevent) readContentMode(members map[string]any) {
	value, ok := members["content_mode"]
	if !ok {
		return
	}
	switch value {
	case "structured":
		x.def.Structured = true
	case "binary":
	default:
		x.problem("/x-event/content_mode", "must be \"binary\" (the record's value is the data) or \"structured\" (it is the whole CloudEvent)")
	}
}

func (x *xevent) readTombstones(members map[string]any) {
	value, ok := members["tombstones"]
	if !ok {
		return
	}
	allowed, isBool := value.(bool)
	if !isBool {
		x.problem("/x-event/tombstones", "must be true or false")
		return
	}
	if key, said := members["key"]; allowed && said && key == nil {
		x.problem("/x-event/tombstones", "needs a key: a tombstone deletes the entity that the key names")
		return
	}
	x.def.Tombstones = allowed
}

func (x *xevent) readBodyLimit(members map[string]any) {
	value, ok := members["body_limit"]
	if !ok {
		return
	}
	var limit int64
	switch v := value.(type) {
	case json.Number:
		limit, _ = v.Int64() // 0 for a fraction, an exponent, or too large
	case string:
		if match := bodyLimit.FindStringSubmatch(v); match != nil {
			limit, _ = strconv.ParseInt(match[1], 10, 64) // ten digits at most
			limit *= map[string]int64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}[match[2]]
		}
	}
	if limit <= 0 || limit > maxBodyLimit {
		x.problem("/x-event/body_limit", "must be a size such as \"64KiB\" (units B, KiB, MiB) or a number of bytes, from 1 to 1024MiB")
		return
	}
	x.def.BodyLimit = int(limit)
}
