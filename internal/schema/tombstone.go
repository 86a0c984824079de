package schema

import (
	"strings"
	"unicode/utf8"

	"eventgateway/internal/event"
)

// CheckTombstone decides whether a record without a value may be published under an entity
// key of a version ("" is the newest) of an event type. The error is an *event.Error:
// unknown-event-type, method-not-allowed if the type has no tombstones, or key-missing;
// the outcome is always not-written. If the version is known, the result has its
// Definition, and the key if it may be one, even beside an error.
func (s *Set) CheckTombstone(eventType, version, key string) (event.Checked, error) {
	v, err := s.version(eventType, version)
	if err != nil {
		return event.Checked{}, err
	}
	checked := event.Checked{Definition: v.def}
	if !v.def.Tombstones {
		return checked, event.Refuse(event.MethodNotAllowed,
			"Events of type %s cannot be deleted by key: its schema does not have \"tombstones\": true in x-event.", v.def.Type)
	}
	if why := notAKey(key, len(v.key)); why != "" {
		return checked, event.Refuse(event.KeyMissing, "The entity key in the path %s.", why)
	}
	checked.Key = &key
	return checked, nil
}

// CheckTombstone is Set.CheckTombstone on the current set.
func (c *Catalog) CheckTombstone(eventType, version, key string) (event.Checked, error) {
	return c.set.Load().CheckTombstone(eventType, version, key)
}

// notAKey says why a text cannot be the entity key of an event with so many parts; empty
// if it can. A key that no event can have would delete nothing.
func notAKey(key string, parts int) (why string) {
	if !utf8.ValidString(key) {
		return "is not UTF-8"
	}
	if parts == 1 {
		return notAPart(key)
	}
	given := strings.Split(key, ":")
	if len(given) != parts {
		return "must have the parts of this event type joined with \":\", and \"%\" and \":\" inside a part written as %25 and %3A; in the path, each \"%\" is written as %25 once more"
	}
	for _, part := range given {
		plain := keyUnescapes.Replace(part)
		if keyEscapes.Replace(plain) != part {
			return "has a part in which \"%\" and \":\" are not written as %25 and %3A; in the path, each \"%\" is written as %25 once more"
		}
		if why := notAPart(plain); why != "" {
			return "has a part that " + why
		}
	}
	return ""
}

func notAPart(part string) (why string) {
	switch {
	case part == "":
		return "is empty, which names no entity"
	case len(part) > maxKeyPart:
		return "is longer than 1024 bytes, which no key is"
	}
	return ""
}

var keyUnescapes = strings.NewReplacer("%25", "%", "%3A", ":")
