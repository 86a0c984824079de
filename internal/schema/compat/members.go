package compat

import "slices"

// withinMembers proves that b accepts the members of the objects in a.
func (s *solver) withinMembers(a, b set, depth int) []failure {
	var failures []failure
	names := append(a.names(), b.names()...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		failures = append(failures, s.withinMember(a, name, name, s.property(a, name), s.property(b, name), depth)...)
	}
	others, ok := otherNames(a, b)
	if !ok {
		return append(failures, s.manyPatterns(a, b))
	}
	for _, o := range others {
		from, to := s.otherProperty(a, o.matched), s.otherProperty(b, o.matched)
		if o.known {
			failures = append(failures, s.withinMember(a, o.sample, "*", from, to, depth)...)
			continue
		}
		for _, f := range s.within(from, to, depth+1) {
			f.path, f.witnesses = append([]string{"*"}, f.path...), nil
			f.reason = "it is unknown whether a member name matches just these patterns"
			failures = append(failures, f)
		}
	}
	return failures
}

func (s *solver) manyPatterns(a, b set) failure {
	f := s.stuck(a, b, "there are too many patterns")
	f.keyword = "patternProperties"
	for _, c := range b.clauses {
		if len(c.patterns) > 0 || c.additional != nil {
			f.clause = c
		}
	}
	return f
}

func (s *solver) withinMember(a set, name, shown string, from, to set, depth int) []failure {
	if to.covers(from) || s.empty(from) || s.empty(a.with(s.hint(func(h *clause) { h.required = []string{name} }))) {
		return nil
	}
	failures := s.within(from, to, depth+1)
	for i := range failures {
		f := &failures[i]
		var whole []any
		for _, w := range f.witnesses {
			around := a.with(s.hint(func(h *clause) {
				h.required, h.props = []string{name}, map[string]node{name: s.exactly(w)}
			}))
			whole = append(whole, s.generate(around, 1)...)
		}
		f.witnesses = whole
		f.path = append([]string{shown}, f.path...)
		if f.clause.obj == nil && f.detail == "" {
			f.detail = name
		}
	}
	return failures
}

// maxPrefix bounds the items that are compared one by one.
const maxPrefix = 256

// withinItems proves that b accepts the items of the arrays in a.
func (s *solver) withinItems(a, b set, depth int) []failure {
	last := max(a.prefixLength(), b.prefixLength())
	longest := s.maxItems(a, s.facts(a, kindArray))
	if last > maxPrefix {
		return []failure{s.stuck(a, b, "there are too many items to compare one by one")}
	}
	var failures []failure
	for i := range last + 1 {
		if longest >= 0 && i >= longest {
			break
		}
		found := s.within(s.item(a, i), s.item(b, i), depth+1)
		shown := index(i)
		if i == last {
			shown = "*"
		}
		for j := range found {
			found[j].witnesses = s.aroundItem(a, i, found[j].witnesses)
			found[j].path = append([]string{shown}, found[j].path...)
		}
		failures = append(failures, found...)
	}
	return failures
}

func (s *solver) aroundItem(a set, i int, witnesses []any) []any {
	var whole []any
	for _, w := range witnesses {
		prefix := make([]node, i+1)
		for j := range i {
			prefix[j] = node{fixed: []*clause{}}
		}
		prefix[i] = s.exactly(w)
		around := a.with(s.hint(func(h *clause) { h.minItems, h.prefix = i+1, prefix }))
		whole = append(whole, s.generate(around, 1)...)
	}
	return whole
}
