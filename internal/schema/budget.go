package schema

import (
	"errors"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// Some schemas make the library work exponentially: variants that each go on with the
// whole schema check what is inside once per variant and level, and "allOf" of an
// "allOf" of twos doubles without any data. A small event could then take hours. Such
// schemas are found when they are compiled, and their validations counted.
const (
	// A validation may hold so many schemas against values, and so many more for each
	// byte of the data: an honest value has some bytes, and meets a few schemas.
	freeSteps, stepsPerByte = 20_000, 10
	mostSteps               = 500_000 // a step of a deep error takes up to 20 µs
	// plainSteps is how many a schema may lead to, each taken once, and go uncounted.
	plainSteps = 10_000
)

var errTooManySteps = errors.New("too many steps")

// budget counts the steps of one validation at a time, of all event types of a folder
// whose schemas are counted: they may share some.
type budget struct {
	running sync.Mutex
	left    int
}

// within runs a validation of so many bytes of data, and fails with errTooManySteps if
// it takes too many.
func (b *budget) within(size int, validate func() error) (err error) {
	b.running.Lock()
	defer b.running.Unlock()
	b.left = min(mostSteps, freeSteps+stepsPerByte*size)
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

// toll is what a schema costs each time that a value is held against it. The library
// calls it as it calls keywords that it does not know.
type toll struct {
	*budget
	steps int
}

// Validate implements jsonschema.ExtSchema.
func (t toll) Validate(jsonschema.ValidationContext, any) error {
	if t.left -= t.steps; t.left < 0 {
		panic(errTooManySteps)
	}
	return nil
}

// costs finds the schemas whose validations have to be counted.
type costs struct {
	*budget
	steps map[*jsonschema.Schema]int // 0: it is being looked at
}

// boundless is the cost of a schema that is counted.
const boundless = plainSteps + 1

// count puts a toll on the schemas below s that are to be counted. It returns nil if
// none is: then s leads to none that another event type has counted either.
func (b *budget) count(s *jsonschema.Schema) *budget {
	c := costs{budget: b, steps: map[*jsonschema.Schema]int{}}
	if c.of(s) < boundless {
		return nil
	}
	return b
}

// of is how many schemas s leads to, itself included, or boundless.
func (c costs) of(s *jsonschema.Schema) int {
	if steps, known := c.steps[s]; known {
		if steps == 0 {
			return boundless // it is within itself
		}
		return steps
	}
	if isMetaschema(s) {
		return 1
	}
	c.steps[s] = 0
	total, own := 1, 1
	for _, each := range below(s) {
		steps := c.of(each)
		total = min(total+steps, boundless)
		own += steps % boundless // those that are counted pay themselves
	}
	c.steps[s] = total
	if total == boundless && s.Extensions == nil {
		s.Extensions = map[string]jsonschema.ExtSchema{"budget": toll{c.budget, own}}
	}
	return total
}

// isMetaschema tells the library's own schemas: all compilers of the process share
// them, and they hold nothing twice against a value.
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
