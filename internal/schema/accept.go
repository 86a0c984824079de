package schema

import (
	"encoding/json"
	"math/big"
	"regexp"
	"strconv"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"eventgateway/internal/schema/formats"
)

// acceptor recognises most valid data without the library, which takes several
// times as long: it writes out the path of every value, for errors that valid data
// do not have. An acceptor never refuses. Data that it cannot decide about go to
// the library, which alone refuses and explains.
//
// A fuzz test checks that the library accepts everything that an acceptor accepts.
type acceptor struct {
	types    typeSet
	enum     map[string]bool // allowed strings; nil: no enum
	string   *stringRules
	number   *numberRules
	object   *objectRules
	array    *arrayRules
	inPlace  []*acceptor // $ref and allOf: each must accept the same value
	anything bool        // the schema true
}

type typeSet uint8

const (
	typeString typeSet = 1 << iota
	typeNumber
	typeInteger
	typeObject
	typeArray
	typeBoolean
	typeNull
	anyType typeSet = 1<<iota - 1
)

var typeNames = map[string]typeSet{
	"string": typeString, "number": typeNumber | typeInteger, "integer": typeInteger, "object": typeObject,
	"array": typeArray, "boolean": typeBoolean, "null": typeNull,
}

type stringRules struct {
	min, max int // characters; -1: no limit
	pattern  *regexp.Regexp
	format   func(any) bool
}

type objectRules struct {
	min, max   int // properties; -1: no limit
	required   []string
	properties map[string]*acceptor
	others     *acceptor // nil: no other properties may be there
}

type arrayRules struct {
	min, max int // items; -1: no limit
	items    *acceptor
}

// newAcceptor compiles a schema; nil if the schema has a keyword that is left to the
// library.
func newAcceptor(s *jsonschema.Schema) *acceptor {
	c := acceptorCompiler{done: map[*jsonschema.Schema]*acceptor{}}
	a := c.compile(s)
	if c.failed {
		return nil
	}
	for _, each := range c.done {
		if each.leadsTo(each, map[*acceptor]bool{}) {
			return nil // a $ref to itself: the library reports the loop
		}
	}
	return a
}

// leadsTo reports whether a applies target to the same value that it is applied to.
func (a *acceptor) leadsTo(target *acceptor, seen map[*acceptor]bool) bool {
	for _, next := range a.inPlace {
		if next == target {
			return true
		}
		if !seen[next] {
			seen[next] = true
			if next.leadsTo(target, seen) {
				return true
			}
		}
	}
	return false
}

type acceptorCompiler struct {
	done   map[*jsonschema.Schema]*acceptor // also breaks recursion
	failed bool
}

var acceptAnything = &acceptor{types: anyType, anything: true}

func (c *acceptorCompiler) compile(s *jsonschema.Schema) *acceptor {
	if a, ok := c.done[s]; ok {
		return a
	}
	a := &acceptor{types: anyType}
	c.done[s] = a
	if s.Always != nil && *s.Always {
		a.anything = true
		return a
	}
	if !onlyKnownKeywords(s) {
		c.failed = true
		return a
	}
	if len(s.Types) > 0 {
		a.types = 0
		for _, name := range s.Types {
			a.types |= typeNames[name]
		}
	}
	c.enum(a, s)
	a.string = c.stringRules(s)
	a.number = c.numberRules(s)
	a.object = c.objectRules(s)
	a.array = c.arrayRules(s)
	if s.Ref != nil {
		a.inPlace = append(a.inPlace, c.compile(s.Ref))
	}
	for _, each := range s.AllOf {
		a.inPlace = append(a.inPlace, c.compile(each))
	}
	return a
}

// onlyKnownKeywords reports whether acceptors know all keywords of the schema. The
// fields are those of jsonschema v5's Schema.
func onlyKnownKeywords(s *jsonschema.Schema) bool {
	return s.Always == nil && s.RecursiveRef == nil && s.DynamicRef == nil &&
		s.Not == nil && len(s.AnyOf) == 0 && len(s.OneOf) == 0 && s.If == nil && len(s.Constant) == 0 &&
		s.PropertyNames == nil && !s.RegexProperties && len(s.PatternProperties) == 0 &&
		len(s.Dependencies) == 0 && len(s.DependentRequired) == 0 && len(s.DependentSchemas) == 0 &&
		s.UnevaluatedProperties == nil && !s.UniqueItems && len(s.PrefixItems) == 0 && s.Contains == nil &&
		s.AdditionalItems == nil && s.UnevaluatedItems == nil &&
		s.ContentEncoding == "" && s.ContentMediaType == "" && s.ContentSchema == nil &&
		len(s.Extensions) == 0
}

func (c *acceptorCompiler) enum(a *acceptor, s *jsonschema.Schema) {
	if len(s.Enum) == 0 {
		return
	}
	a.enum = make(map[string]bool, len(s.Enum))
	for _, v := range s.Enum {
		text, ok := v.(string)
		if !ok {
			c.failed = true
			return
		}
		a.enum[text] = true
	}
}

func (c *acceptorCompiler) stringRules(s *jsonschema.Schema) *stringRules {
	format := formats.OfValue(s.Format)
	if s.MinLength == -1 && s.MaxLength == -1 && s.Pattern == nil && format == nil {
		return nil
	}
	return &stringRules{min: s.MinLength, max: s.MaxLength, pattern: s.Pattern, format: format}
}

func (c *acceptorCompiler) objectRules(s *jsonschema.Schema) *objectRules {
	r := &objectRules{
		min: s.MinProperties, max: s.MaxProperties, required: s.Required,
		properties: make(map[string]*acceptor, len(s.Properties)), others: acceptAnything,
	}
	for name, sub := range s.Properties {
		r.properties[name] = c.compile(sub)
	}
	switch more := s.AdditionalProperties.(type) {
	case bool:
		if !more {
			r.others = nil
		}
	case *jsonschema.Schema:
		r.others = c.compile(more)
	}
	return r
}

func (c *acceptorCompiler) arrayRules(s *jsonschema.Schema) *arrayRules {
	r := &arrayRules{min: s.MinItems, max: s.MaxItems, items: acceptAnything}
	items, ok := s.Items.(*jsonschema.Schema)
	switch {
	case ok && s.Items2020 == nil:
		r.items = c.compile(items)
	case s.Items == nil && s.Items2020 != nil:
		r.items = c.compile(s.Items2020)
	case s.Items != nil || s.Items2020 != nil:
		c.failed = true
	}
	return r
}

// accepts reports whether v is certainly valid.
func (a *acceptor) accepts(v any) bool {
	if a.anything {
		return true
	}
	for _, each := range a.inPlace {
		if !each.accepts(v) {
			return false
		}
	}
	if s, ok := v.(string); ok {
		return a.types&typeString != 0 && (a.enum == nil || a.enum[s]) && (a.string == nil || a.string.accept(s))
	}
	if a.enum != nil {
		return false
	}
	switch v := v.(type) {
	case json.Number:
		return a.acceptsNumber(string(v))
	case map[string]any:
		return a.types&typeObject != 0 && a.object.accept(v)
	case []any:
		return a.types&typeArray != 0 && a.array.accept(v)
	case bool:
		return a.types&typeBoolean != 0
	case nil:
		return a.types&typeNull != 0
	}
	return false
}

func (r *stringRules) accept(s string) bool {
	if r.min != -1 || r.max != -1 {
		n := utf8.RuneCountInString(s)
		if n < r.min || r.max != -1 && n > r.max {
			return false
		}
	}
	return (r.pattern == nil || r.pattern.MatchString(s)) && (r.format == nil || r.format(s))
}

func (r *objectRules) accept(o map[string]any) bool {
	if len(o) < r.min || r.max != -1 && len(o) > r.max {
		return false
	}
	for _, name := range r.required {
		if _, ok := o[name]; !ok {
			return false
		}
	}
	for name, v := range o {
		rule, ok := r.properties[name]
		if !ok {
			rule = r.others
		}
		if rule == nil || !rule.accepts(v) {
			return false
		}
	}
	return true
}

func (r *arrayRules) accept(items []any) bool {
	if len(items) < r.min || r.max != -1 && len(items) > r.max {
		return false
	}
	for _, v := range items {
		if !r.items.accepts(v) {
			return false
		}
	}
	return true
}

// numberRules are bounds that are small integers: enough for quantities and
// prices, and compared without big rationals.
type numberRules struct {
	min, max                   *int64
	exclusiveMin, exclusiveMax *int64
	multipleOf                 int64 // 0: none
}

// exactDigits is how many digits an integer may have to be compared as int64.
const exactDigits = 18

func (c *acceptorCompiler) numberRules(s *jsonschema.Schema) *numberRules {
	r := &numberRules{
		min: c.bound(s.Minimum), max: c.bound(s.Maximum),
		exclusiveMin: c.bound(s.ExclusiveMinimum), exclusiveMax: c.bound(s.ExclusiveMaximum),
	}
	if m := c.bound(s.MultipleOf); m != nil {
		r.multipleOf = *m
	}
	if *r == (numberRules{}) {
		return nil
	}
	return r
}

func (c *acceptorCompiler) bound(r *big.Rat) *int64 {
	if r == nil {
		return nil
	}
	if !r.IsInt() || !r.Num().IsInt64() {
		c.failed = true
		return nil
	}
	n := r.Num().Int64()
	return &n
}

func (a *acceptor) acceptsNumber(text string) bool {
	if !isInteger(text) {
		// The library decides whether 1.0 or 1e2 is an integer and how 0.1 compares,
		// unless any number will do.
		return a.types&typeNumber != 0 && a.number == nil
	}
	if a.types&(typeInteger|typeNumber) == 0 {
		return false
	}
	if a.number == nil {
		return true
	}
	if len(text) > exactDigits {
		return false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && a.number.accept(n)
}

func (r *numberRules) accept(n int64) bool {
	return (r.min == nil || n >= *r.min) && (r.max == nil || n <= *r.max) &&
		(r.exclusiveMin == nil || n > *r.exclusiveMin) && (r.exclusiveMax == nil || n < *r.exclusiveMax) &&
		(r.multipleOf == 0 || n%r.multipleOf == 0)
}

func isInteger(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c != '-' || i > 0) {
			return false
		}
	}
	return true
}
