package delivery

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
	"eventgateway/internal/strictjson"
)

// Filter says which events a subscription wants. All that is given must hold.
type Filter struct {
	Types []string // patterns; * stands for any text
	Keys  []string // likewise
	Data  []Match
}

// Match is a value that an event's data must have.
type Match struct {
	Pointer strictjson.Pointer
	Value   string // a string's text, or the literal of a number, true, false or null
}

// wants reports whether a record is to be delivered.
func (c *Config) wants(r *kafka.Record) bool {
	kind := eventType(r)
	if len(c.Types) > 0 && !slices.Contains(c.Types, kind) {
		return false
	}
	f := c.Filter
	if len(f.Types) > 0 && !slices.ContainsFunc(f.Types, func(p string) bool { return event.MatchesPattern(p, kind) }) {
		return false
	}
	if len(f.Keys) > 0 && !slices.ContainsFunc(f.Keys, func(p string) bool { return r.Key != nil && event.MatchesPattern(p, string(r.Key)) }) {
		return false
	}
	for _, m := range f.Data {
		found, ok := m.Pointer.Find(r.Value)
		if !ok || !equals(found, m.Value) {
			return false
		}
	}
	return true
}

func equals(literal []byte, want string) bool {
	literal = bytes.TrimSpace(literal)
	if len(literal) > 0 && literal[0] == '"' {
		text, err := jsontext.AppendUnquote(nil, literal)
		return err == nil && string(text) == want
	}
	return string(literal) == want
}
