package webhook

import (
	"regexp"

	"eventgateway/internal/strictjson"
)

// KeyRule says where a source's events have their entity key: in each part at the first
// of its JSON Pointers at which there is one.
type KeyRule struct {
	Parts    [][]string
	Optional bool // an event in which no pointer of the only part has a key has no entity
}

// Pointers chooses a pointer for each part, in the data of a delivery without an Err; nil
// if it has one. If there is no key at any pointer, it is the first, so that the error
// names it. No pointers: the event has no entity.
func (k KeyRule) Pointers(data []byte) []string {
	var all []strictjson.Pointer
	several := k.Optional
	for _, part := range k.Parts {
		several = several || len(part) > 1
		for _, text := range part {
			p, _ := strictjson.ParsePointer(text) // an ill-formed one is reported when the key is looked for
			all = append(all, p)
		}
	}
	var found [][]byte
	if several && data != nil {
		found = strictjson.FindAll(data, all)
	}
	chosen, at := make([]string, 0, len(k.Parts)), 0
	for _, part := range k.Parts {
		pick := -1
		for i := range part {
			if pick < 0 && found != nil && isKey(found[at+i]) {
				pick = i
			}
		}
		at += len(part)
		if pick < 0 && k.Optional && found != nil {
			return nil
		}
		chosen = append(chosen, part[max(pick, 0)])
	}
	return chosen
}

var integer = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// isKey reports whether a value may be an entity key: a text that is not empty, a boolean
// or an integer.
func isKey(value []byte) bool {
	switch text := string(value); {
	case len(value) == 0:
		return false
	case value[0] == '"':
		return len(value) > len(`""`)
	default:
		return text == "true" || text == "false" || integer.Match(value)
	}
}
