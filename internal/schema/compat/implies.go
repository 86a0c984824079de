package compat

import (
	"encoding/json"
	"math/big"
)

// hint is a clause that is not in a document: it restricts a set to the values that a
// keyword would refuse, or to those with a certain value of a member.
func (s *reader) hint(change func(*clause)) *clause {
	c := s.newClause(node{})
	change(c)
	return c
}

// forbidden is the schema false.
func (s *reader) forbidden() node {
	return node{fixed: []*clause{s.hint(func(c *clause) { c.kinds = noKind })}}
}

// exactly is the schema of one value.
func (s *reader) exactly(v any) node {
	return node{fixed: []*clause{s.hint(func(c *clause) { c.enums = []values{newValues("const", []any{v})} })}}
}

// impliesOwn finds the keywords of a clause, among those that need no other
// schema, that some value of a set breaks.
func (s *solver) impliesOwn(a set, k kind, c *clause) []failure {
	if !c.kinds.has(k) {
		keyword := "type"
		if c.obj == nil {
			keyword = c.node.via
		}
		return []failure{{clause: c, keyword: keyword, from: a, witnesses: s.generate(a, maxWitnesses)}}
	}
	var failures []failure
	for _, e := range c.enums {
		failures = append(failures, failure{
			clause: c, keyword: e.keyword, from: a,
			witnesses: s.among(a, len(e.list)+maxWitnesses, func(v any) bool { return !e.index[canonical(v)] }),
		})
	}
	switch k {
	case kindInteger, kindFraction:
		failures = append(failures, s.impliesNumber(a, k, c)...)
	case kindString:
		failures = append(failures, s.impliesString(a, c)...)
	case kindArray:
		failures = append(failures, s.impliesArray(a, c)...)
	case kindObject:
		failures = append(failures, s.impliesObject(a, c)...)
	}
	return failures
}

// opposite reports a keyword unless no value of the set meets its negation.
func (s *solver) opposite(a set, c *clause, keyword, detail string, negate func(*clause)) []failure {
	against := a.with(s.hint(negate))
	if s.empty(against) {
		return nil
	}
	return []failure{{clause: c, keyword: keyword, detail: detail, from: a, witnesses: s.generate(against, maxWitnesses)}}
}

func (s *solver) impliesNumber(a set, k kind, c *clause) []failure {
	var failures []failure
	if b := c.lower; b != nil {
		failures = append(failures, s.opposite(a, c, b.keyword, "", func(h *clause) { h.upper = &bound{at: b.at, open: !b.open} })...)
	}
	if b := c.upper; b != nil {
		failures = append(failures, s.opposite(a, c, b.keyword, "", func(h *clause) { h.lower = &bound{at: b.at, open: !b.open} })...)
	}
	f := s.facts(a, k)
	for _, step := range c.steps {
		if f.step != nil && new(big.Rat).Quo(f.step, step).IsInt() {
			continue
		}
		refused := func(v any) bool {
			r, ok := rational(v.(json.Number))
			return ok && !new(big.Rat).Quo(r, step).IsInt()
		}
		witnesses := s.among(a, manyWitnesses, refused)
		for _, between := range gaps(f, step) {
			if len(witnesses) == 0 {
				witnesses = s.among(a.with(s.hint(between)), manyWitnesses, refused)
			}
		}
		failures = append(failures, failure{clause: c, keyword: "multipleOf", from: a, witnesses: witnesses})
	}
	return failures
}

// gaps are intervals without a multiple of the step, next to the bounds and 0.
func gaps(f facts, step *big.Rat) []func(*clause) {
	var hints []func(*clause)
	for _, b := range []*bound{f.lower, f.upper, {at: new(big.Rat)}} {
		if b == nil {
			continue
		}
		for _, shift := range []int64{-1, 0} {
			low := multipleFrom(b.at, step, false, -1)
			low.Add(low, new(big.Rat).Mul(step, big.NewRat(shift, 1)))
			high := new(big.Rat).Add(low, step)
			hints = append(hints, func(h *clause) { h.lower, h.upper = &bound{at: low, open: true}, &bound{at: high, open: true} })
		}
	}
	return hints
}

func (s *solver) impliesString(a set, c *clause) []failure {
	var failures []failure
	if c.minLength > 0 {
		failures = append(failures, s.opposite(a, c, "minLength", "", func(h *clause) { h.maxLength = c.minLength - 1 })...)
	}
	if c.maxLength >= 0 {
		failures = append(failures, s.opposite(a, c, "maxLength", "", func(h *clause) { h.minLength = c.maxLength + 1 })...)
	}
	var pattern, format bool
	for _, other := range a.clauses {
		pattern = pattern || c.pattern != nil && other.pattern != nil && c.pattern.String() == other.pattern.String()
		format = format || c.format != "" && formatInside(other.format, c.format)
	}
	if c.pattern != nil && !pattern {
		failures = append(failures, failure{
			clause: c, keyword: "pattern", from: a, reason: "regular expressions are not compared",
			witnesses: s.among(a, manyWitnesses, func(v any) bool { return !c.pattern.MatchString(v.(string)) }),
		})
	}
	if c.format != "" && !format {
		failures = append(failures, failure{
			clause: c, keyword: "format", from: a,
			witnesses: s.among(a, manyWitnesses, func(v any) bool { return judgeFormat(c.format, v.(string)) == no }),
		})
	}
	return failures
}

func (s *solver) impliesArray(a set, c *clause) []failure {
	var failures []failure
	if c.minItems > 0 {
		failures = append(failures, s.opposite(a, c, "minItems", "", func(h *clause) { h.maxItems = c.minItems - 1 })...)
	}
	if c.maxItems >= 0 {
		failures = append(failures, s.opposite(a, c, "maxItems", "", func(h *clause) { h.minItems = c.maxItems + 1 })...)
	}
	if c.unique && !s.facts(a, kindArray).unique {
		longer := a.with(s.hint(func(h *clause) { h.minItems = 2 }))
		if !s.empty(longer) {
			failures = append(failures, failure{
				clause: c, keyword: "uniqueItems", from: a,
				witnesses: s.among(longer, manyWitnesses, func(v any) bool { return !distinct(v.([]any)) }),
			})
		}
	}
	return failures
}

func (s *solver) impliesObject(a set, c *clause) []failure {
	var failures []failure
	if c.minProps > 0 {
		failures = append(failures, s.opposite(a, c, "minProperties", "", func(h *clause) { h.maxProps = c.minProps - 1 })...)
	}
	if c.maxProps >= 0 {
		failures = append(failures, s.opposite(a, c, "maxProperties", "", func(h *clause) { h.minProps = c.maxProps + 1 })...)
	}
	for _, name := range c.required {
		failures = append(failures, s.opposite(a, c, "required", name, func(h *clause) {
			h.props = map[string]node{name: s.forbidden()}
		})...)
	}
	for _, n := range c.needs {
		for _, other := range n.others {
			if other == n.name {
				continue
			}
			failures = append(failures, s.opposite(a, c, n.keyword, other, func(h *clause) {
				h.required, h.props = []string{n.name}, map[string]node{other: s.forbidden()}
			})...)
		}
	}
	return failures
}
