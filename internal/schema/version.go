package schema

import (
	"encoding/json"
	"fmt"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"eventgateway/internal/budget"
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

// bounds are what checks of a set have together.
type bounds struct {
	budget *budget.Budget // nil: no limit
	tokens int            // of one event's data; 0: no limit
}

// begin waits for a slot, unless the request has one for all its events.
func (b bounds) begin(size int, within *event.Allowance) (*budget.Work, error) {
	if within == nil {
		return b.budget.Begin(size)
	}
	work, _ := within.Slot.(*budget.Work)
	return work, nil
}

// end undoes begin, and gives back what was taken since then.
func (b bounds) end(work *budget.Work, within *event.Allowance, held int64) {
	if within == nil {
		work.End()
		return
	}
	work.Keep(held)
}

// validationBytes is what the validation of a large event may hold beside its tree: what is
// known about arrays and objects, texts that are compared, and violations.
const validationBytes = 12 << 20

// check parses and validates data and finds their key, which invalid data may have, too.
func (v *version) check(data []byte, b bounds, within *event.Allowance) (event.Checked, error) {
	checked := event.Checked{Definition: v.def}
	if v.def.BodyLimit > 0 && len(data) > v.def.BodyLimit {
		return checked, event.Refuse(event.EventTooLarge, "The data has %d bytes; events of type %s may have %d.", len(data), v.def.Type, v.def.BodyLimit)
	}
	work, err := b.begin(len(data), within)
	if err != nil {
		return checked, err
	}
	defer b.end(work, within, work.Held())
	if len(data) > budget.QuickBytes && !work.Take(validationBytes) {
		return checked, b.budget.Full()
	}
	doc, err := b.parse(data, work)
	if err != nil {
		return checked, err
	}
	defer doc.Release()
	err = v.validate(doc.Root, len(data), work, b, within)
	var missing []event.Violation
	if checked.Key, missing = entityKey(v.key, doc.Root); missing != nil && err == nil {
		err = keyMissing(v.def.KeyPointers, v.def.Type+" "+v.def.Version, missing)
	}
	return checked, err
}

// validate checks the tree against the schema. The library and formats may panic.
func (v *version) validate(tree any, size int, work *budget.Work, b bounds, within *event.Allowance) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = event.RefuseCause(event.Internal, fmt.Errorf("panic: %v\n%s", r, debug.Stack()),
				"validating %s %s failed", v.def.Type, v.def.Version)
		}
	}()
	r := newRun(size)
	r.under(work, within, size)
	defer r.charge(size)
	if r.eval(v.accept, tree) == yes {
		return nil
	}
	if r.crowded {
		return b.budget.Busy()
	}
	invalid, done := r.explain(v.accept, tree, size)
	switch {
	case r.crowded:
		return b.budget.Busy()
	case invalid != nil:
		if err := v.violation(invalid, tree, done, &r); !r.crowded {
			return err
		}
		return b.budget.Busy()
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
func (v *version) violation(invalid *jsonschema.ValidationError, tree any, all bool, r *run) error {
	violations := flatten(invalid, v.find, v.choices.in(tree), r.spend)
	most := r.violations()
	more := len(violations) > most
	violations = violations[:min(len(violations), most)]
	listed, example := r.list(violations)
	err := event.Refuse(event.SchemaViolation, "the data breaks the schema of %s %s", v.def.Type, v.def.Version)
	err.Violations = listed
	switch {
	case len(listed) < len(violations):
		err.Detail += fmt.Sprintf(" in %d ways or more (%d are listed: an answer has room for %d, with %d bytes of text, in all)", len(violations), len(listed), maxViolations, event.MaxViolationBytes)
	case more:
		err.Detail += fmt.Sprintf(" in more than %d ways (the first %d are listed)", most, most)
	case !all:
		err.Detail += fmt.Sprintf(" in %d ways or more (the search stopped there)", len(violations))
	case len(violations) > 1:
		err.Detail += fmt.Sprintf(" in %d ways", len(violations))
	}
	if example && len(violations) > 0 {
		err.Detail += fmt.Sprintf(": %s %s", pointerName(shorten(violations[0].Pointer)), violations[0].Message)
	}
	return err
}

// list returns as many violations as the answer has room for, and whether there is room to
// name one of them besides.
func (r *run) list(all []event.Violation) (listed []event.Violation, example bool) {
	within := r.within
	if within == nil {
		within = &event.Allowance{Violations: event.MaxViolations, Bytes: event.MaxViolationBytes}
	}
	for i, each := range all {
		size := len(each.Pointer) + len(each.Keyword) + len(each.Message)
		if within.Violations == 0 || within.Bytes < size {
			return slices.Clone(all[:i]), within.Bytes > 0 || r.within == nil
		}
		within.Violations--
		within.Bytes -= size
	}
	return all, true
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
