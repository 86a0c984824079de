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
	// maxExamples is how many samples a draft shows.
	maxExamples = 3
	// maxExampleDepth keeps the examples' own nesting, and the two levels around
	// them, within what a schema file may have.
	maxExampleDepth = strictjson.MaxDepth - 2
	// maxExampleBytes keeps a draft a file that people read.
	maxExampleBytes = 64 << 10
	// maxNotes bounds what is said about one draft.
	maxNotes = 10
	// noKey is how a caller says that the event is about no entity.
	noKey = "null"
)

// Draft is a schema file, and what its author should look at.
type Draft struct {
	EventType string
	Schema    []byte   // the file
	Keys      []string // JSON Pointers of the entity key; none: no entity
	Guessed   bool     // nobody has said the key
	Notes     []string // what the samples did not show
	bare      []byte   // the file without examples
}

// New drafts a schema of an event type. keys are JSON Pointers, ["null"] for no
// entity, or empty to have the key guessed.
func New(eventType string, samples []Sample, keys []string) (*Draft, error) {
	if len(samples) == 0 {
		return nil, errors.New("no sample event")
	}
	d := &Draft{EventType: eventType, Keys: keys}
	switch {
	case len(keys) == 1 && keys[0] == noKey:
		d.Keys = nil
	case len(keys) == 0:
		key, err := guessKey(eventType, samples)
		if err != nil {
			return nil, err
		}
		d.Keys, d.Guessed = []string{key}, true
	}
	var root shape
	for _, s := range samples {
		root.add(s.value)
	}
	members := []member{
		{"$schema", text("https://json-schema.org/draft/2020-12/schema")},
		{"title", text(title(eventType))},
		{"x-event", object(member{"key", keyValue(d.Keys)})},
	}
	members = append(members, root.describe(0)...)
	d.bare = pretty(object(members...))
	examples := d.examples(samples)
	if len(examples.items) > 0 {
		members = append(members, member{"examples", examples})
	}
	d.Schema = pretty(object(members...))
	d.note(&root)
	return d, nil
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
func (d *Draft) examples(samples []Sample) value {
	examples := list()
	examples.spread = true
	for _, s := range samples {
		if len(examples.items) == maxExamples {
			break
		}
		if s.value.depth() > maxExampleDepth || len(compact(s.value)) > maxExampleBytes {
			d.Notes = append(d.Notes, fmt.Sprintf("%s is too large or too deep to be an example", s.Source))
			continue
		}
		examples.items = append(examples.items, s.value)
	}
	return examples
}

// note says what the samples left open.
func (d *Draft) note(root *shape) {
	root.open("", 0, func(pointer, what string) { d.Notes = append(d.Notes, pointer+" "+what) })
	if more := len(d.Notes) - maxNotes; more > 0 {
		d.Notes = append(d.Notes[:maxNotes], fmt.Sprintf("and %d more of this kind", more))
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
