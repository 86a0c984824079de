package describe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// publishPath is the hand-written path whose parameters and responses the paths of the
// event types repeat.
const publishPath = "/v1/events/{type}"

// deletePath is the hand-written path whose DELETE publishes a tombstone.
const deletePath = "/v1/events/{type}/{version}"

// places are comments in openapi.yaml that additions replace.
var places = regexp.MustCompile(`(?m)^( *)# event types: (tags|paths|parameters|schemas)\n`)

// allPlaces in the order of the file.
var allPlaces = []string{"tags", "paths", "parameters", "schemas"}

// Base is the hand-written OpenAPI file.
type Base struct {
	yaml       []byte
	json       []byte            // each place is a last member or an element
	forOne     []byte            // the same for one event type, see withoutOthers
	parameters []entry           // components for the operations of event types
	refs       []json.RawMessage // to them
	responses  json.RawMessage   // of publishPath
	deletion   json.RawMessage   // responses of deletePath
}

// NewBase reads openapi.yaml. It must have each of the places once, those of paths and
// schemas at the end of their objects.
func NewBase(text []byte) (*Base, error) {
	marked := places.ReplaceAllFunc(text, func(line []byte) []byte {
		m := places.FindSubmatch(line)
		if string(m[2]) == "tags" {
			return fmt.Appendf(nil, "%s- %q\n", m[1], marker("tags"))
		}
		return fmt.Appendf(nil, "%s%q: null\n", m[1], marker(string(m[2])))
	})
	var root yaml.Node
	if err := yaml.Unmarshal(marked, &root); err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	b := &Base{yaml: text}
	var err error
	if b.json, err = appendJSON(nil, &root); err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	withoutOthers(&root)
	if b.forOne, err = appendJSON(nil, &root); err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	for _, place := range allPlaces {
		if bytes.Count(b.json, spliceAt(place)) != 1 || bytes.Count(b.forOne, spliceAt(place)) != 1 {
			return nil, fmt.Errorf("openapi.yaml must have the comment %q once, behind other entries", "# "+marker(place))
		}
	}
	return b, b.learn()
}

func marker(place string) string { return "event types: " + place }

// spliceAt is the text of a place in the JSON, with the comma before it.
func spliceAt(place string) []byte {
	if place == "tags" {
		return fmt.Appendf(nil, ",%q", marker(place))
	}
	return fmt.Appendf(nil, ",%q:null", marker(place))
}

// ownParameters are the parameters of publishPath that operations of event types have,
// too.
var ownParameters = []string{"IdempotencyKey", "CloudEventId", "CloudEventSource", "CloudEventTime", "CloudEventSubject", "TraceParent", "TraceState"}

// learn reads from the hand-written file what the operations of event types repeat.
// Their parameters have no examples: pages would fill those in, and an event that is
// sent from a page would have the id of another one.
func (b *Base) learn() error {
	var doc struct {
		Paths map[string]struct {
			Post   struct{ Responses json.RawMessage } `json:"post"`
			Delete struct{ Responses json.RawMessage } `json:"delete"`
		} `json:"paths"`
		Components struct {
			Parameters map[string]struct {
				Name        string          `json:"name"`
				In          string          `json:"in"`
				Description string          `json:"description"`
				Schema      json.RawMessage `json:"schema"`
			} `json:"parameters"`
		} `json:"components"`
	}
	if err := json.Unmarshal(b.json, &doc); err != nil {
		return fmt.Errorf("read openapi.yaml: %w", err)
	}
	if b.responses = doc.Paths[publishPath].Post.Responses; b.responses == nil {
		return errors.New("openapi.yaml has no POST " + publishPath)
	}
	if b.deletion = doc.Paths[deletePath].Delete.Responses; b.deletion == nil {
		return errors.New("openapi.yaml has no DELETE " + deletePath)
	}
	for _, name := range ownParameters {
		p, ok := doc.Components.Parameters[name]
		if !ok {
			return errors.New("openapi.yaml has no parameter " + name)
		}
		text, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("read openapi.yaml: %w", err)
		}
		b.parameters = append(b.parameters, entry{"Event" + name, text})
		b.refs = append(b.refs, fmt.Appendf(nil, `{"$ref":"#/components/parameters/Event%s"}`, name))
	}
	return nil
}

// appendJSON writes a YAML document as JSON, in the same order.
func appendJSON(dst []byte, n *yaml.Node) ([]byte, error) {
	var err error
	switch n.Kind {
	case yaml.DocumentNode:
		return appendJSON(dst, n.Content[0])
	case yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i < len(n.Content); i += 2 {
			if i > 0 {
				dst = append(dst, ',')
			}
			name, err := json.Marshal(n.Content[i].Value)
			if err != nil {
				return nil, err
			}
			if dst, err = appendJSON(append(append(dst, name...), ':'), n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, each := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendJSON(dst, each); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case yaml.ScalarNode:
		var v any
		if err := n.Decode(&v); err != nil {
			return nil, err
		}
		text, err := json.Marshal(v)
		return append(dst, text...), err
	default:
		return nil, fmt.Errorf("line %d: anchors are not supported", n.Line)
	}
}
