package schema

import (
	"math"
	"net/url"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"eventgateway/internal/event"
	"eventgateway/internal/strictjson"
)

// explainer finds what is wrong with a value that an acceptor does not accept. It follows
// what is not accepted down to the keyword, and asks the library about that keyword and
// the one value alone. The library's error refuses; how errors combine (anyOf, not,
// unevaluatedProperties, …) is the standard's, and a fuzz test compares the whole with
// what the library says about the whole.
//
// So the library never sees more than is wrong, and the work ends with the violations
// that are shown.
type explainer struct {
	*run
	most  int  // violations that are looked for
	found int  // violations so far
	bytes int  // of their pointers
	open  bool // something is undecided, because there were no units left
	// what is known about arrays and objects, in their places and without a place
	explained, counted map[verdictKey][]*jsonschema.ValidationError
}

// location is where a value is in the data.
type location struct {
	parent *location
	name   string
	index  int // if name is empty and isItem
	isItem bool
}

// String is the place as the library writes it: a JSON Pointer whose tokens are
// percent-encoded.
func (p *location) String() string {
	if p == nil {
		return ""
	}
	if p.isItem {
		return p.parent.String() + "/" + strconv.Itoa(p.index)
	}
	return p.parent.String() + "/" + url.PathEscape(strictjson.EscapeToken(p.name))
}

func (p *location) member(name string) *location { return &location{parent: p, name: name} }
func (p *location) item(i int) *location         { return &location{parent: p, index: i, isItem: true} }

// explain returns the library's errors for a value that a does not accept. done is false
// if there was too much to do; then the errors are some of them, or none.
func (r *run) explain(a *acceptor, v any, size int) (root *jsonschema.ValidationError, done bool) {
	remembers := r.left <= r.rememberAt
	more := explainFreeUnits
	if r.within != nil {
		more = min(more, max(0, r.within.Steps)+ordinaryUnits)
	}
	more += explainPerByte * size
	r.granted += more - min(r.left, 0)
	r.left, r.later = max(r.left, 0)+r.later+more, 0
	if r.rememberAt = r.left - explainFreeUnits/4; remembers {
		r.rememberAt = math.MaxInt
	}
	if r.divide(); r.later > 0 && !remembers {
		r.rememberAt = -1 // not before it goes on
	}
	e := &explainer{
		run: r, most: r.violations(), explained: map[verdictKey][]*jsonschema.ValidationError{},
		counted: map[verdictKey][]*jsonschema.ValidationError{},
	}
	r.settle = func(a *acceptor, v any) verdict {
		if known := e.eval(a, v); known != ask {
			return known
		}
		// Errors that are only counted have no place in the data: they are not to be shown.
		found, bytes, explained := e.found, e.bytes, e.explained
		e.explained = e.counted
		result, _ := e.check(a, v, nil, "")
		e.found, e.bytes, e.explained = found, bytes, explained
		return result
	}
	causes := e.of(a, v, nil, "")
	if len(causes) == 0 {
		return nil, !e.open
	}
	return &jsonschema.ValidationError{Message: "the root", Causes: causes}, !e.full()
}

// violations is how many of them are looked for. Whether there is one must be known even if
// none will be listed.
func (r *run) violations() int {
	if r.within != nil {
		return max(1, min(maxViolations, r.within.Violations))
	}
	return maxViolations
}

// full reports whether enough is known, or has been spent.
func (e *explainer) full() bool {
	return e.left < 0 || e.found > e.most || e.bytes > event.MaxViolationBytes
}

// check decides about a value, with the errors if a refuses it.
func (e *explainer) check(a *acceptor, v any, at *location, keyword string) (verdict, []*jsonschema.ValidationError) {
	first := e.eval(a, v)
	if first == yes {
		return yes, nil
	}
	errors := e.refused(a, v, at, keyword)
	switch {
	case len(errors) > 0:
		return no, errors
	case e.full():
		if first == ask {
			e.open = true
		}
		return first, nil
	}
	return yes, nil // the library finds nothing
}

// of returns the errors of a value, none if it is valid.
func (e *explainer) of(a *acceptor, v any, at *location, keyword string) []*jsonschema.ValidationError {
	_, errors := e.check(a, v, at, keyword)
	return errors
}

// refused explains a value that eval does not accept; keyword is the way to it.
func (e *explainer) refused(a *acceptor, v any, at *location, keyword string) []*jsonschema.ValidationError {
	if e.full() {
		e.open = true
		return nil
	}
	if a.nothing {
		return e.library(&jsonschema.Schema{Location: a.schema.Location, Always: new(bool)}, nil, at, keyword, 0)
	}
	where, ok := identity(v)
	key := verdictKey{a, where}
	if known, done := e.explained[key]; ok && done {
		return known
	}
	errors := e.parts(a, v, at, keyword)
	if ok && !e.full() {
		e.explained[key] = errors
	}
	return errors
}

func (e *explainer) parts(a *acceptor, v any, at *location, keyword string) []*jsonschema.ValidationError {
	var errors []*jsonschema.ValidationError
	if e.own(a, v) != yes {
		errors = e.ownErrors(a, v, at)
		if !a.hasType(v) {
			return errors
		}
	}
	switch v := v.(type) {
	case map[string]any:
		errors = append(errors, e.memberErrors(a, v, at, keyword)...)
	case []any:
		errors = append(errors, e.itemErrors(a, v, at)...)
	}
	for _, each := range a.all {
		errors = append(errors, errorsUnder("/"+each.keyword, at, e.of(each.to, v, at, each.keyword))...)
	}
	errors = append(errors, e.combinedErrors(a, v, at)...)
	if v, ok := v.(map[string]any); ok {
		for _, d := range a.object.dependencies {
			if _, there := v[d.name]; there && d.to != nil {
				errors = append(errors, errorsUnder("/"+d.keyword, at, e.of(d.to, v, at, d.keyword))...)
			}
		}
	}
	return append(errors, e.unevaluatedErrors(a, v, at)...)
}

// library asks the library about a schema that has only keywords about the value itself,
// and returns its errors with their place in the data. units is the price of the value.
func (e *explainer) library(s *jsonschema.Schema, v any, at *location, keyword string, units int) []*jsonschema.ValidationError {
	if !e.spend(libraryUnits + units) {
		e.open = true
		return nil
	}
	var invalid *jsonschema.ValidationError
	switch err := s.Validate(v).(type) { //nolint:errorlint // the library returns it as it is
	case nil:
		return nil
	case *jsonschema.ValidationError:
		invalid = err
	default:
		panic(err)
	}
	where := at.String()
	for _, each := range invalid.Causes {
		each.InstanceLocation = where
		if each.KeywordLocation == "" && keyword != "" {
			each.KeywordLocation = "/" + keyword
		}
		e.found++
		e.bytes += len(where)
		e.spend(errorUnits + len(where) + len(s.Location)>>locationShift)
	}
	return invalid.Causes
}

// composed is an error of a keyword that combines schemas, in the library's words.
func (e *explainer) composed(a *acceptor, keyword, message string, at *location, causes []*jsonschema.ValidationError) *jsonschema.ValidationError {
	where := at.String()
	e.found++
	e.bytes += len(where)
	e.spend(libraryUnits + len(where) + len(a.schema.Location)>>locationShift)
	return &jsonschema.ValidationError{
		KeywordLocation: "/" + keyword, AbsoluteKeywordLocation: a.schema.Location + "/" + keyword,
		InstanceLocation: where, Message: message, Causes: causes,
	}
}
