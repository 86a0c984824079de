package schema

import (
	"errors"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// Some schemas make the library work exponentially: variants that each refer to the
// whole schema check what is inside once per variant and level, and "allOf" of an
// "allOf" of two doubles the work without any data. A small event could then take
// hours. Such schemas are found when they are compiled, and their validations are
// counted and stopped.
const (
	// A validation may apply freeSteps schemas, plus stepsPerByte for each byte of data.
	// Normal data stay far below.
	freeSteps, stepsPerByte = 20_000, 10
	maxSteps                = 500_000 // a step of a deep error takes up to 20 µs
	// uncountedSteps is how many schemas one may lead to without being counted, if
	// each is applied once.
	uncountedSteps = 10_000
)

var errTooManySteps = errors.New("too many steps")

// stepLimit counts the steps of one validation at a time. All counted schemas of a
// folder have one together, because they may share parts.
type stepLimit struct {
	running sync.Mutex
	left    int // of the validation that runs, or ran last
}

// stepsFor is how many steps the validation of so many bytes may take.
func stepsFor(size int) int { return min(maxSteps, freeSteps+stepsPerByte*size) }

// within runs a validation of so many bytes of data, and fails with errTooManySteps if
// it takes too many.
func (l *stepLimit) within(size int, validate func() error) (err error) {
	l.running.Lock()
	defer l.running.Unlock()
	l.left = stepsFor(size)
	defer func() {
		if r := recover(); r != nil {
			if r != errTooManySteps { //nolint:errorlint // it is panicked with as it is
				panic(r)
			}
			err = errTooManySteps
		}
	}()
	return validate()
}

// countedSteps takes a schema's steps off the limit each time that the schema is
// applied to a value. The library calls it as it calls keywords that it does not know.
type countedSteps struct {
	*stepLimit
	steps int
}

// Validate implements jsonschema.ExtSchema.
func (c countedSteps) Validate(jsonschema.ValidationContext, any) error {
	if c.left -= c.steps; c.left < 0 {
		panic(errTooManySteps)
	}
	return nil
}

// stepCounter finds the schemas whose validations have to be counted.
type stepCounter struct {
	*stepLimit
	steps map[*jsonschema.Schema]int // 0: it is being looked at
}

// unbounded is the number of steps of a schema that has to be counted.
const unbounded = uncountedSteps + 1

// apply makes the schemas below s count where they have to. It returns nil if none
// has to: then s leads to none that another event type has made count either.
func (l *stepLimit) apply(s *jsonschema.Schema) *stepLimit {
	c := stepCounter{stepLimit: l, steps: map[*jsonschema.Schema]int{}}
	if c.count(s) < unbounded {
		return nil
	}
	return l
}

// count is how many schemas s leads to, itself included, or unbounded.
func (c stepCounter) count(s *jsonschema.Schema) int {
	if steps, known := c.steps[s]; known {
		if steps == 0 {
			return unbounded // it contains itself
		}
		return steps
	}
	if isMetaschema(s) {
		return 1
	}
	c.steps[s] = 0
	total, own := 1, 1
	for _, each := range below(s) {
		steps := c.count(each)
		total = min(total+steps, unbounded)
		own += steps % unbounded // those that are counted count for themselves
	}
	c.steps[s] = total
	if total == unbounded && s.Extensions == nil {
		s.Extensions = map[string]jsonschema.ExtSchema{"stepLimit": countedSteps{c.stepLimit, own}}
	}
	return total
}

// isMetaschema recognises the library's own schemas: all compilers of the process
// share them, and they apply nothing twice to a value.
func isMetaschema(s *jsonschema.Schema) bool {
	return strings.HasPrefix(s.Location, "https://json-schema.org/") || strings.HasPrefix(s.Location, "http://json-schema.org/")
}

// below are the schemas that s applies to a value or to what is in it.
func below(s *jsonschema.Schema) []*jsonschema.Schema {
	all := []*jsonschema.Schema{
		s.Ref, s.RecursiveRef, s.DynamicRef, s.Not, s.If, s.Then, s.Else, s.PropertyNames, s.UnevaluatedProperties,
		s.Items2020, s.Contains, s.UnevaluatedItems, s.ContentSchema,
	}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
		all = append(all, list...)
	}
	for _, each := range s.Properties {
		all = append(all, each)
	}
	for _, each := range s.PatternProperties {
		all = append(all, each)
	}
	for _, each := range s.DependentSchemas {
		all = append(all, each)
	}
	for _, each := range s.Dependencies {
		if schema, ok := each.(*jsonschema.Schema); ok {
			all = append(all, schema)
		}
	}
	for _, each := range []any{s.AdditionalProperties, s.AdditionalItems, s.Items} {
		switch each := each.(type) {
		case *jsonschema.Schema:
			all = append(all, each)
		case []*jsonschema.Schema:
			all = append(all, each...)
		}
	}
	kept := all[:0]
	for _, each := range all {
		if each != nil {
			kept = append(kept, each)
		}
	}
	return kept
}
