package compat

// impliesChoice proves that every value of a set, which is of one kind, meets
// an "anyOf" or "oneOf" of a clause.
func (s *solver) impliesChoice(a set, c *clause, ch *choice, depth int) []failure {
	if s.sameChoice(a, c, ch, depth) {
		return nil
	}
	var alternatives, live []set
	for _, n := range ch.nodes {
		alternative := set{clauses: s.flatten(n)}
		alternatives = append(alternatives, alternative)
		if !s.empty(a.with(alternative.clauses...)) {
			live = append(live, alternative)
		}
	}
	if len(live) == 1 {
		return s.within(a, live[0], depth) // the others contain none of a's values
	}
	if !ch.one {
		for _, alternative := range live {
			if s.speculate(func() []failure { return s.within(a, alternative, depth) }) {
				return nil
			}
		}
	}
	refused := func(v any) bool { return s.judgeChoice(ch, v, 0) == no }
	witnesses := s.among(a, manyWitnesses, refused)
	for i, x := range alternatives {
		if len(witnesses) > 0 {
			break
		}
		// Values that barely meet one alternative, and values that meet two.
		witnesses = s.among(a.with(x.clauses...), manyWitnesses, refused)
		for _, y := range alternatives[i+1:] {
			if ch.one && len(witnesses) == 0 {
				witnesses = s.among(a.with(x.clauses...).with(y.clauses...), maxWitnesses, refused)
			}
		}
	}
	return []failure{{
		clause: c, keyword: ch.keyword, from: a, witnesses: witnesses,
		reason: "the alternatives could not be matched",
	}}
}

// sameChoice reports whether a clause of the smaller set has the same choice:
// equal, or with alternatives that are the same sets one by one.
func (s *solver) sameChoice(a set, c *clause, ch *choice, depth int) bool {
	for _, other := range a.clauses {
		for _, known := range other.choices {
			if known.one != ch.one || len(known.nodes) != len(ch.nodes) {
				continue
			}
			if sameKeyword(other, c, ch.keyword) {
				return true
			}
			if ch.one && s.speculate(func() []failure { return s.pairwise(known, ch, depth) }) {
				return true
			}
		}
	}
	return false
}

func (s *solver) pairwise(a, b *choice, depth int) []failure {
	for i := range a.nodes {
		x, y := set{clauses: s.flatten(a.nodes[i])}, set{clauses: s.flatten(b.nodes[i])}
		if failures := s.within(x, y, depth); len(failures) > 0 {
			return failures
		}
		if failures := s.within(y, x, depth); len(failures) > 0 {
			return failures
		}
	}
	return nil
}

// sameKeyword reports whether a keyword has the same meaning in two clauses by
// itself. Two absent keywords have the same meaning.
func sameKeyword(a, b *clause, keyword string) bool {
	if a.obj == nil || b.obj == nil || a.node.rebased || b.node.rebased {
		return false
	}
	x, inA := a.obj[keyword]
	y, inB := b.obj[keyword]
	if !inA && !inB {
		return true
	}
	return inA && inB && same(a.node.doc, b.node.doc, x, y)
}

// impliesRule proves that every value of a set, which is of one kind, meets a
// keyword that proofs do not reason about.
func (s *solver) impliesRule(a set, k kind, c *clause, r *rule) []failure {
	if !r.kinds.has(k) {
		return nil
	}
	for _, other := range a.clauses {
		for i := range other.rules {
			if sameRule(other, &other.rules[i], c, r) {
				return nil
			}
		}
	}
	f := failure{clause: c, keyword: r.keyword, from: a, reason: "it is compared for equality only"}
	if r.not != nil {
		if s.empty(a.with(s.flatten(*r.not)...)) || s.narrowerNot(a, r) {
			return nil
		}
		f.reason = "it is compared only as far as values are disjoint"
	}
	if r.judge == nil {
		return []failure{f}
	}
	sources := []set{a}
	for _, n := range r.where {
		sources = append(sources, a.with(s.flatten(n)...))
	}
	for _, source := range sources {
		if len(f.witnesses) == 0 {
			f.witnesses = s.among(source, manyWitnesses, func(v any) bool { return r.judge(s.validator, v, 0) == no })
		}
	}
	return []failure{f}
}

// narrowerNot reports whether the smaller set forbids at least as much.
func (s *solver) narrowerNot(a set, r *rule) bool {
	for _, c := range a.clauses {
		for _, other := range c.rules {
			if other.not == nil {
				continue
			}
			x, y := set{clauses: s.flatten(*r.not)}, set{clauses: s.flatten(*other.not)}
			// The depth distinguishes assumptions; below a "not" there are none to use.
			if s.speculate(func() []failure { return s.within(x, y, 0) }) {
				return true
			}
		}
	}
	return false
}

func sameRule(a *clause, x *rule, b *clause, y *rule) bool {
	if x.keyword != y.keyword || x.never || y.never || a.obj == nil || b.obj == nil {
		return false
	}
	if len(y.group) == 0 {
		return !a.node.rebased && !b.node.rebased && same(a.node.doc, b.node.doc, a.obj, b.obj)
	}
	for _, keyword := range y.group {
		if !sameKeyword(a, b, keyword) {
			return false
		}
	}
	return true
}
