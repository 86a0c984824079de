package schema

import (
	"encoding/json"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"eventgateway/internal/event"
	"eventgateway/internal/strictjson"
)

// version is one version of an event type, ready to check data.
type version struct {
	def         *event.Definition
	key         []strictjson.Pointer
	accept      *acceptor
	find        literals
	choices     choices
	path        string // of its file in the folder
	raw         []byte
	title       string
	description string
	examples    []json.RawMessage
}

// check parses and validates data and finds their key, which invalid data may have, too.
func (v *version) check(data []byte) (event.Checked, error) {
	checked := event.Checked{Definition: v.def}
	if v.def.BodyLimit > 0 && len(data) > v.def.BodyLimit {
		return checked, event.Refuse(event.EventTooLarge, "The data has %d bytes; events of type %s may have %d.", len(data), v.def.Type, v.def.BodyLimit)
	}
	doc, err := parse(data)
	if err != nil {
		return checked, malformed(err)
	}
	err = v.validate(doc.Root, len(data))
	var missing []event.Violation
	if checked.Key, missing = entityKey(v.key, doc.Root); missing != nil && err == nil {
		err = keyMissing(v.def.KeyPointers, v.def.Type+" "+v.def.Version, missing)
	}
	doc.Release()
	return checked, err
}

// validate checks the tree against the schema. The library and formats may panic.
func (v *version) validate(tree any, size int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = event.RefuseCause(event.Internal, fmt.Errorf("panic: %v\n%s", r, debug.Stack()),
				"validating %s %s failed", v.def.Type, v.def.Version)
		}
	}()
	r := newRun(size)
	if r.eval(v.accept, tree) == yes {
		return nil
	}
	invalid, done := r.explain(v.accept, tree, size)
	switch {
	case invalid != nil:
		return v.violation(invalid, tree, done)
	case !done:
		return v.tooManySteps()
	}
	return nil
}

func (v *version) tooManySteps() error {
	const what = "takes too many steps to check: a pattern is too costly for so long a text, or too many schemas apply to the same value"
	err := event.Refuse(event.SchemaViolation, "the data cannot be checked against the schema of %s %s: it %s", v.def.Type, v.def.Version, what)
	err.Violations = []event.Violation{{Keyword: "$ref", Message: what}}
	return err
}

// violation lists what is wrong. If not all is known, it is what was found first.
func (v *version) violation(invalid *jsonschema.ValidationError, tree any, all bool) error {
	violations := flatten(invalid, v.find, v.choices.in(tree))
	err := event.Refuse(event.SchemaViolation, "the data breaks the schema of %s %s", v.def.Type, v.def.Version)
	more := len(violations) > maxViolations
	violations = violations[:min(len(violations), maxViolations)]
	switch {
	case more:
		err.Detail += fmt.Sprintf(" in more than %d ways (the first %d are listed)", maxViolations, maxViolations)
	case !all:
		err.Detail += fmt.Sprintf(" in %d ways or more (the search stopped there)", len(violations))
	case len(violations) > 1:
		err.Detail += fmt.Sprintf(" in %d ways", len(violations))
	}
	if len(violations) > 0 {
		err.Detail += fmt.Sprintf(": %s %s", pointerName(shorten(violations[0].Pointer)), violations[0].Message)
	}
	err.Violations = violations
	return err
}

// literalsOf finds the values of keywords in the parsed files.
func literalsOf(sources []*source) literals {
	trees := make(map[string]any, 2*len(sources))
	for _, s := range sources {
		trees[s.url] = s.tree
		if s.id != "" {
			trees[s.id] = s.tree
		}
	}
	return func(location string) (any, bool) {
		at, fragment, _ := strings.Cut(location, "#")
		tree, ok := trees[at]
		if !ok {
			return nil, false
		}
		plain, err := url.PathUnescape(fragment)
		if err != nil {
			return nil, false
		}
		p, err := parsePointer(plain)
		if err != nil {
			return nil, false
		}
		return p.InTree(tree)
	}
}
