package schema

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// acceptor is a schema as the gateway itself reads it. It recognises valid data without
// the library, which takes many times as long: the library writes out the path of every
// value and copies the names of every object, for errors that valid data do not have.
// And its work is bounded, which the library's is not.
//
// An acceptor answers yes, no, or ask. It never refuses an event: where the answer is not
// yes, an explainer asks the library about each keyword that is broken, and only the
// library's errors refuse. A fuzz test holds both to what the library says about
// the whole.
type acceptor struct {
	schema   *jsonschema.Schema
	anything bool // the schema true
	nothing  bool // the schema false

	types    typeSet
	constant *valueSet // nil: no const
	enum     *valueSet // nil: no enum
	format   *boundedFormat
	string   *stringRules
	number   *numberRules
	object   *objectRules
	array    *arrayRules

	all                   []edge // $ref and allOf: each must accept the same value
	not                   *acceptor
	anyOf, oneOf          []*acceptor
	cond, then, otherwise *acceptor // if, then and else
}

// edge leads from an acceptor to another one, by way of a keyword.
type edge struct {
	keyword string
	to      *acceptor
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
	pattern  *pattern
}

type numberRules struct {
	min, max, exclusiveMin, exclusiveMax *decimal
	multipleOf                           *decimal
}

type objectRules struct {
	min, max   int // properties; -1: no limit
	required   []string
	properties map[string]*acceptor
	first      []string // properties that tell variants apart: they are looked at first
	patterns   []patternRule
	others     *acceptor // additionalProperties
	limited    bool      // there is additionalProperties
	names      *acceptor // propertyNames; nil: none
	regexNames bool      // names are regular expressions, in the metaschema of draft 4

	dependencies []dependency
	unevaluated  *acceptor // nil: none
	plain        bool      // no patterns nor rules for names
	nameBytes    int       // bytes of the names that the schema itself has
	ownUnits     int       // the price of looking for them
}

type patternRule struct {
	*pattern
	to *acceptor
}

// dependency holds if an object has the member name.
type dependency struct {
	name     string
	required []string
	to       *acceptor // nil: only required
	keyword  string
}

type arrayRules struct {
	min, max     int // items; -1: no limit
	unique       bool
	tuple        []*acceptor
	tupleKeyword string    // prefixItems or items
	rest         *acceptor // the items after the tuple
	restKeyword  string    // items or additionalItems
	limited      bool      // rest is from a keyword
	closed       bool      // additionalItems is false: one error for all

	contains                 *acceptor // nil: none
	minContains, maxContains int       // -1: no limit
	containsEvaluates        bool
	unevaluated              *acceptor // nil: none
}

var (
	acceptAnything = &acceptor{anything: true}
	acceptNothing  = &acceptor{nothing: true, schema: &jsonschema.Schema{}}
)

// maxAcceptors bounds what one schema file leads to.
const maxAcceptors = 200_000

var (
	errSelf    = errors.New("refers to itself without end")
	errTooMany = fmt.Errorf("leads to more than %d schemas: a $dynamicRef may multiply them", maxAcceptors)
)

// acceptorCompiler makes acceptors of the library's compiled schemas.
type acceptorCompiler struct {
	formats func(name string) func(any) bool // nil for an unknown format
	dynamic bool                             // some reference depends on where it is reached from
	done    map[acceptorKey]*acceptor        // also breaks recursion
	order   []*acceptor
	err     error
}

// newAcceptor compiles a schema. The error says, for its author, what is wrong with it.
func newAcceptor(s *jsonschema.Schema, formats func(string) func(any) bool) (*acceptor, error) {
	c := acceptorCompiler{formats: formats, dynamic: isDynamic(s), done: map[acceptorKey]*acceptor{}}
	a := c.compile(s, scope{})
	if c.err == nil && c.loops() {
		c.err = errSelf
	}
	return a, c.err
}

func (c *acceptorCompiler) compile(s *jsonschema.Schema, in scope) *acceptor {
	if s == nil {
		return nil
	}
	if c.dynamic {
		in = in.enter(s)
	}
	key := acceptorKey{s, in.key}
	if a, ok := c.done[key]; ok {
		return a
	}
	a := &acceptor{schema: s, types: anyType}
	if len(c.done) >= maxAcceptors {
		c.err = errTooMany
		return a
	}
	c.done[key] = a
	c.order = append(c.order, a)
	if s.Always != nil {
		a.anything, a.nothing = *s.Always, !*s.Always
		return a
	}
	c.values(a, s)
	a.object = c.objectRules(s, in)
	a.array = c.arrayRules(s, in)
	c.inPlace(a, s, in)
	return a
}

// values compiles the keywords about the value itself.
func (c *acceptorCompiler) values(a *acceptor, s *jsonschema.Schema) {
	if len(s.Types) > 0 {
		a.types = 0
		for _, name := range s.Types {
			a.types |= typeNames[name]
		}
	}
	if len(s.Constant) > 0 {
		a.constant = newValueSet(s.Constant[:1])
	}
	if len(s.Enum) > 0 {
		a.enum = newValueSet(s.Enum)
	}
	f := c.formats(s.Format)
	if strings.HasPrefix(s.Location, libraryMetaschemas) {
		f = jsonschema.Formats[s.Format]
	}
	if f != nil && assertsFormat(s) {
		a.format = newBoundedFormat(s.Format, f)
	}
	if s.MinLength != -1 || s.MaxLength != -1 || s.Pattern != nil {
		a.string = &stringRules{min: s.MinLength, max: s.MaxLength}
		if s.Pattern != nil {
			a.string.pattern = newPattern(s.Pattern)
		}
	}
	a.number = newNumberRules(s)
}

// libraryMetaschemas begins the locations of the metaschemas that assert formats. The
// library has compiled them for itself, with its own idea of these.
const libraryMetaschemas = "http://json-schema.org/draft-0"

func (c *acceptorCompiler) inPlace(a *acceptor, s *jsonschema.Schema, in scope) {
	add := func(keyword string, to *jsonschema.Schema) {
		if to != nil {
			a.all = append(a.all, edge{keyword, c.compile(to, in)})
		}
	}
	add("$ref", s.Ref)
	add("$recursiveRef", in.recursiveTarget(s))
	add("$dynamicRef", in.dynamicTarget(s))
	for _, each := range s.AllOf {
		add("allOf", each)
	}
	a.not = c.compile(s.Not, in)
	a.anyOf, a.oneOf = c.list(s.AnyOf, in), c.list(s.OneOf, in)
	if s.If != nil {
		a.cond = c.compile(s.If, in)
		inside := in.withoutAnchors()
		a.then, a.otherwise = c.compile(s.Then, inside), c.compile(s.Else, inside)
	}
}

func (c *acceptorCompiler) list(schemas []*jsonschema.Schema, in scope) []*acceptor {
	var list []*acceptor
	for _, s := range schemas {
		list = append(list, c.compile(s, in))
	}
	return list
}

// orBool compiles a keyword that the library keeps as nil, a bool or a schema.
func (c *acceptorCompiler) orBool(keyword any, in scope) (a *acceptor, given bool) {
	switch keyword := keyword.(type) {
	case bool:
		if !keyword {
			return acceptNothing, true
		}
		return acceptAnything, true
	case *jsonschema.Schema:
		return c.compile(keyword, in), true
	}
	return acceptAnything, false
}

func (c *acceptorCompiler) objectRules(s *jsonschema.Schema, in scope) *objectRules {
	r := &objectRules{
		min: s.MinProperties, max: s.MaxProperties, required: s.Required, regexNames: s.RegexProperties,
		properties: make(map[string]*acceptor, len(s.Properties)),
		names:      c.compile(s.PropertyNames, in), unevaluated: c.compile(s.UnevaluatedProperties, in),
	}
	for _, name := range sortedKeys(s.Properties) {
		to := c.compile(s.Properties[name], in)
		r.properties[name] = to
		if to.nothing || to.constant != nil || to.enum != nil {
			r.first = append(r.first, name)
		}
	}
	for _, each := range sortedPatterns(s.PatternProperties) {
		r.patterns = append(r.patterns, patternRule{newPattern(each), c.compile(s.PatternProperties[each], in)})
	}
	r.others, r.limited = c.orBool(s.AdditionalProperties, in)
	for _, name := range sortedKeys(s.Dependencies) {
		d := dependency{name: name, keyword: "dependencies"}
		switch then := s.Dependencies[name].(type) {
		case *jsonschema.Schema:
			d.to = c.compile(then, in)
		case []string:
			d.required = then
		}
		r.dependencies = append(r.dependencies, d)
	}
	for _, name := range sortedKeys(s.DependentRequired) {
		r.dependencies = append(r.dependencies, dependency{name: name, required: s.DependentRequired[name]})
	}
	for _, name := range sortedKeys(s.DependentSchemas) {
		to := c.compile(s.DependentSchemas[name], in)
		r.dependencies = append(r.dependencies, dependency{name: name, to: to, keyword: "dependentSchemas"})
	}
	for _, names := range [][]string{r.required, r.first} {
		r.nameBytes += len(strings.Join(names, ""))
	}
	for _, d := range r.dependencies {
		r.nameBytes += len(d.name) + len(strings.Join(d.required, ""))
	}
	r.ownUnits = lookUpUnits*(len(r.required)+len(r.first)+len(r.dependencies)) + r.nameBytes>>hashShift
	r.plain = len(r.patterns) == 0 && r.names == nil && !r.regexNames
	return r
}

func sortedPatterns[V any](patterns map[*regexp.Regexp]V) []*regexp.Regexp {
	var list []*regexp.Regexp
	for each := range patterns {
		list = append(list, each)
	}
	slices.SortFunc(list, func(a, b *regexp.Regexp) int {
		if a.String() < b.String() {
			return -1
		}
		return 1
	})
	return list
}

func (c *acceptorCompiler) arrayRules(s *jsonschema.Schema, in scope) *arrayRules {
	r := &arrayRules{
		min: s.MinItems, max: s.MaxItems, unique: s.UniqueItems, rest: acceptAnything,
		contains: c.compile(s.Contains, in), minContains: s.MinContains, maxContains: s.MaxContains,
		containsEvaluates: s.ContainsEval, unevaluated: c.compile(s.UnevaluatedItems, in),
	}
	switch items := s.Items.(type) {
	case *jsonschema.Schema:
		r.rest, r.restKeyword, r.limited = c.compile(items, in), "items", true
	case []*jsonschema.Schema:
		r.tuple, r.tupleKeyword, r.restKeyword = c.list(items, in), "items", "additionalItems"
		r.rest, r.limited = c.orBool(s.AdditionalItems, in)
		r.closed = r.rest == acceptNothing
	}
	if s.PrefixItems != nil {
		r.tuple, r.tupleKeyword = c.list(s.PrefixItems, in), "prefixItems"
	}
	if s.Items2020 != nil {
		r.rest, r.restKeyword, r.limited = c.compile(s.Items2020, in), "items", true
	}
	return r
}

// loops reports whether some schema applies itself to the value that it is applied to.
func (c *acceptorCompiler) loops() bool {
	const open, closed = 1, 2
	state := make(map[*acceptor]int, len(c.order))
	var visit func(a *acceptor) bool
	visit = func(a *acceptor) bool {
		switch state[a] {
		case open:
			return true
		case closed:
			return false
		}
		state[a] = open
		for next := range a.sameValue() {
			if visit(next) {
				return true
			}
		}
		state[a] = closed
		return false
	}
	return slices.ContainsFunc(c.order, visit)
}

// sameValue yields the acceptors that a applies to its own value.
func (a *acceptor) sameValue() func(yield func(*acceptor) bool) {
	return func(yield func(*acceptor) bool) {
		list := slices.Concat(a.anyOf, a.oneOf, []*acceptor{a.not, a.cond, a.then, a.otherwise})
		for _, each := range a.all {
			list = append(list, each.to)
		}
		if a.object != nil {
			for _, each := range a.object.dependencies {
				list = append(list, each.to)
			}
		}
		for _, each := range list {
			if each != nil && !yield(each) {
				return
			}
		}
	}
}
