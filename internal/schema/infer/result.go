package infer

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"eventgateway/internal/strictjson"
)

const (
	// maxExamples is how many samples the schema shows.
	maxExamples = 3
	// maxExampleDepth keeps the examples' own nesting, and the two levels around
	// them, within what a schema file may have.
	maxExampleDepth = strictjson.MaxDepth - 2
	// maxExampleBytes keeps the schema a file that people read.
	maxExampleBytes = 64 << 10
	// maxNotes bounds the notes of one schema.
	maxNotes = 10
	// noKey is how a caller says that the event belongs to no entity.
	noKey = "null"
)

// Result is a schema file, and what its author should look at.
type Result struct {
	EventType string
	Schema    []byte   // the file
	Keys      []string // JSON Pointers of the entity key; none: no entity
	Guessed   bool     // New has guessed the key
	Notes     []string // what the samples did not show
	bare      []byte   // the file without examples
}

// New infers the schema of an event type. keys are JSON Pointers, ["null"] for no
// entity, or empty to have the key guessed.
func New(eventType string, samples []Sample, keys []string) (*Result, error) {
	if len(samples) == 0 {
		return nil, errors.New("no sample event")
	}
	r := &Result{EventType: eventType, Keys: keys}
	switch {
	case len(keys) == 1 && keys[0] == noKey:
		r.Keys = nil
	case len(keys) == 0:
		key, err := guessKey(eventType, samples)
		if err != nil {
			return nil, err
		}
		r.Keys, r.Guessed = []string{key}, true
	}
	var root shape
	for _, s := range samples {
		root.add(s.value)
	}
	members := []member{
		{"$schema", text("https://json-schema.org/draft/2020-12/schema")},
		{"title", text(title(eventType))},
		{"x-event", object(member{"key", keyValue(r.Keys)})},
	}
	members = append(members, root.describe(0)...)
	r.bare = pretty(object(members...))
	examples := r.examples(samples)
	if len(examples.items) > 0 {
		members = append(members, member{"examples", examples})
	}
	r.Schema = pretty(object(members...))
	r.note(&root)
	return r, nil
}

// keyValue writes a key as "x-event" has it.
func keyValue(keys []string) value {
	switch len(keys) {
	case 0:
		return value{kind: jsontext.KindNull, text: "null"}
	case 1:
		return text(keys[0])
	}
	return texts(keys)
}

// examples picks the samples to show.
func (r *Result) examples(samples []Sample) value {
	examples := list()
	examples.spread = true
	for _, s := range samples {
		if len(examples.items) == maxExamples {
			break
		}
		if s.value.depth() > maxExampleDepth || len(compact(s.value)) > maxExampleBytes {
			r.Notes = append(r.Notes, fmt.Sprintf("%s is too large or too deep to be an example", s.Source))
			continue
		}
		examples.items = append(examples.items, s.value)
	}
	return examples
}

// note says what the samples left open.
func (r *Result) note(root *shape) {
	root.open("", 0, func(pointer, what string) { r.Notes = append(r.Notes, pointer+" "+what) })
	if more := len(r.Notes) - maxNotes; more > 0 {
		r.Notes = append(r.Notes[:maxNotes], fmt.Sprintf("and %d more of this kind", more))
	}
}

// title makes "Orders placed" of "orders.placed".
func title(eventType string) string {
	words := strings.FieldsFunc(separateWords(eventType), func(r rune) bool { return strings.ContainsRune("._- ", r) })
	joined := []rune(strings.ToLower(strings.Join(words, " ")))
	if len(joined) == 0 {
		return eventType
	}
	joined[0] = unicode.ToUpper(joined[0])
	return string(joined)
}
