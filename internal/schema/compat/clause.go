package compat

import (
	"math/big"
	"regexp"
)

// clause is one schema object without its in-place parts: "allOf" and "$ref"
// have become further clauses of the same set. A keyword that is absent, or has
// no effect, leaves its field at "no constraint".
type clause struct {
	id   int
	node node
	obj  map[string]any // nil for the schema false and for hints

	kinds kind
	enums []values // "enum" and "const"

	lower, upper *bound
	steps        []*big.Rat // "multipleOf"

	minLength, maxLength int // -1: none
	pattern              *regexp.Regexp
	shortest, longest    int    // lengths that the pattern admits; longest -1: any
	format               string // a known one, by its canonical name

	minItems, maxItems int
	unique             bool
	prefix             []node
	rest               *node // items after the prefix; nil: anything

	minProps, maxProps int
	required           []string
	props              map[string]node
	patterns           []patternNode // sorted by pattern
	additional         *node         // nil: anything
	needs              []need

	choices []*choice
	rules   []rule
}

// values are the values of "enum" or "const".
type values struct {
	keyword string
	list    []any
	index   map[string]bool // canonical forms
}

// bound is one end of an interval of numbers.
type bound struct {
	at      *big.Rat
	open    bool // the end itself is outside
	keyword string
}

// patternNode is an entry of "patternProperties".
type patternNode struct {
	pattern *regexp.Regexp
	node    node
}

// need is an entry of "dependentRequired", or of "dependencies" with a list.
type need struct {
	keyword string
	name    string
	others  []string
}

// choice is an "anyOf" or "oneOf".
type choice struct {
	id      int
	one     bool
	keyword string
	nodes   []node
}

// rule is a keyword that proofs do not reason about: only an equal one implies it. Some
// of them can be judged on a value.
type rule struct {
	keyword string
	kinds   kind     // values that it applies to
	group   []string // keywords that make up its meaning; empty: the whole schema object
	never   bool     // equality proves nothing, because the meaning depends on more
	judge   func(s *validator, v any, depth int) answer
	not     *node  // for "not"
	has     *node  // for "contains"
	where   []node // schemas of values that probably break the rule
}

// newClause is a clause without constraints.
func (s *reader) newClause(n node) *clause {
	s.ids++
	return &clause{
		id: s.ids, node: n, kinds: anyKind,
		minLength: -1, maxLength: -1, minItems: -1, maxItems: -1, minProps: -1, maxProps: -1,
	}
}

// property lists the schemas that the clause applies to a member of that name.
func (c *clause) property(name string) []node {
	var nodes []node
	if n, ok := c.props[name]; ok {
		nodes = append(nodes, n)
	}
	for _, p := range c.patterns {
		if p.pattern.MatchString(name) {
			nodes = append(nodes, p.node)
		}
	}
	if nodes == nil && c.additional != nil {
		nodes = append(nodes, *c.additional)
	}
	return nodes
}

// otherProperty is property for the names that "properties" does not list and
// that match exactly these patterns.
func (c *clause) otherProperty(matched map[string]bool) []node {
	var nodes []node
	for _, p := range c.patterns {
		if matched[p.pattern.String()] {
			nodes = append(nodes, p.node)
		}
	}
	if nodes == nil && c.additional != nil {
		nodes = append(nodes, *c.additional)
	}
	return nodes
}

// item lists the schemas that the clause applies to an item.
func (c *clause) item(i int) []node {
	switch {
	case i < len(c.prefix):
		return []node{c.prefix[i]}
	case c.rest != nil:
		return []node{*c.rest}
	}
	return nil
}

// value is a keyword's value in the document.
func (c *clause) value(keyword string) (any, bool) {
	v, ok := c.obj[keyword]
	return v, ok
}
