package schema

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"eventgateway/internal/event"
	"eventgateway/internal/strictjson"
)

// maxKeyPart bounds a part of a key, in bytes: receipts contain the key and are kept
// for the idempotency window.
const maxKeyPart = 1024

// entityKey finds the text of the key in a tree; nil without violations if there are
// no pointers. The violations say, part by part, why there is no key.
func entityKey(pointers []strictjson.Pointer, tree any) (*string, []event.Violation) {
	if len(pointers) == 0 {
		return nil, nil
	}
	if len(pointers) == 1 {
		part, why := keyPart(pointers[0], tree)
		if why != "" {
			return nil, []event.Violation{keyViolation(pointers[0], why)}
		}
		key := strings.Clone(part) // the part may be a slice of the whole event
		return &key, nil
	}
	var missing []event.Violation
	var key strings.Builder
	for i, p := range pointers {
		part, why := keyPart(p, tree)
		if why != "" {
			missing = append(missing, keyViolation(p, why))
			continue
		}
		if i > 0 {
			key.WriteByte(':')
		}
		key.WriteString(keyEscapes.Replace(part))
	}
	if missing != nil {
		return nil, missing
	}
	text := key.String()
	return &text, nil
}

// EntityKey finds the entity key of data by other pointers than those of the event
// type; without pointers there is no entity. The error is an *event.Error:
// malformed-json or key-missing.
func EntityKey(pointers []string, data []byte) (*string, error) {
	return bounds{}.entityKey(pointers, data, nil)
}

func (b bounds) entityKey(pointers []string, data []byte, within *event.Allowance) (*string, error) {
	parsed := make([]strictjson.Pointer, len(pointers))
	for i, text := range pointers {
		var err error
		if parsed[i], err = parsePointer(text); err != nil {
			return nil, event.RefuseCause(event.KeyMissing, err, "the entity key's pointer is not a JSON Pointer")
		}
	}
	work, err := b.begin(len(data), within)
	if err != nil {
		return nil, err
	}
	defer b.end(work, within, work.Held())
	doc, err := b.parse(data, work)
	if err != nil {
		return nil, err
	}
	defer doc.Release()
	key, missing := entityKey(parsed, doc.Root)
	if missing != nil {
		return nil, keyMissing(pointers, "this source", missing)
	}
	return key, nil
}

// Key is EntityKey within the bounds of the set, and of a request; nil: the event is alone.
func (s *Set) Key(pointers []string, data []byte, within *event.Allowance) (*string, error) {
	return s.bounds.entityKey(pointers, data, within)
}

var keyEscapes = strings.NewReplacer("%", "%25", ":", "%3A")

// keyPart returns the text of one part, or why it cannot be one.
func keyPart(p strictjson.Pointer, tree any) (text, why string) {
	value, ok := p.InTree(tree)
	if !ok {
		return "", "is missing"
	}
	switch v := value.(type) {
	case string:
		if v == "" {
			return "", "is the empty string, which names no entity"
		}
		if len(v) > maxKeyPart {
			return "", fmt.Sprintf("has %d bytes; a key may have %d", len(v), maxKeyPart)
		}
		return v, ""
	case bool:
		return strconv.FormatBool(v), ""
	case json.Number:
		if strings.ContainsAny(string(v), ".eE") {
			return "", fmt.Sprintf("is the number %s; a numeric key is an integer without fraction or exponent", shorten(string(v)))
		}
		return string(v), ""
	case nil:
		return "", "is null"
	case []any:
		return "", "is an array"
	default:
		return "", "is an object"
	}
}

func keyViolation(p strictjson.Pointer, why string) event.Violation {
	return event.Violation{Pointer: p.String(), Keyword: "x-event", Message: "the entity key " + why}
}

// keyMissing makes the error of an event without entity key.
func keyMissing(pointers []string, owner string, missing []event.Violation) *event.Error {
	err := event.Refuse(event.KeyMissing,
		"the entity key of %s is the string, integer or boolean at %s; %s %s",
		owner, strings.Join(pointers, " and "),
		pointerName(missing[0].Pointer), strings.TrimPrefix(missing[0].Message, "the entity key "))
	err.Violations = missing
	return err
}

// pointerName names a place in the data for a person.
func pointerName(p string) string {
	if p == "" {
		return "the data itself"
	}
	return p
}
