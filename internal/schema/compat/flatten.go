package compat

// flatten turns a schema into the clauses whose intersection it is.
func (s *reader) flatten(n node) []*clause {
	return s.unfold(n, make(map[string]bool))
}

// unfold passes down the places that it is inside of: following a reference back to
// one of them would never end.
func (s *reader) unfold(n node, inside map[string]bool) []*clause {
	if n.fixed != nil {
		return n.fixed
	}
	if known, ok := n.doc.flat[n.at]; ok {
		return known
	}
	if inside[n.at] {
		c := s.newClause(n)
		c.opaque("$ref")
		return []*clause{c}
	}
	inside[n.at] = true
	defer delete(inside, n.at)
	clauses := s.parts(n, inside)
	// A result from inside a loop is valid only for the same way in.
	if len(inside) == 1 {
		n.doc.flat[n.at] = clauses
	}
	return clauses
}

func (s *reader) parts(n node, inside map[string]bool) []*clause {
	switch raw := n.raw.(type) {
	case bool:
		if raw {
			return nil
		}
		c := s.newClause(n)
		c.kinds = noKind
		return []*clause{c}
	case map[string]any:
		return s.objectParts(n, raw, inside)
	}
	c := s.newClause(n)
	c.opaque(n.via)
	return []*clause{c}
}

func (s *reader) objectParts(n node, raw map[string]any, inside map[string]bool) []*clause {
	var clauses []*clause
	if ref, present := raw["$ref"]; present {
		clauses = s.reference(n, ref, inside)
		if n.doc.dialect <= dialect7 {
			return clauses
		}
	}
	c := s.parse(n, raw)
	if c.constrains() {
		clauses = append(clauses, c)
	}
	if list, ok := raw["allOf"].([]any); ok {
		for i, part := range list {
			clauses = append(clauses, s.unfold(n.child("allOf", part, index(i)), inside)...)
		}
	}
	return clauses
}

func (s *reader) reference(n node, ref any, inside map[string]bool) []*clause {
	text, _ := ref.(string)
	target, ok := n.doc.resolve(text)
	if !ok || n.rebased || target.rebased {
		c := s.newClause(n)
		c.obj, _ = n.raw.(map[string]any)
		c.opaque("$ref")
		return []*clause{c}
	}
	return s.unfold(target, inside)
}

// opaque adds a keyword of which nothing is known.
func (c *clause) opaque(keyword string) {
	c.rules = append(c.rules, rule{keyword: keyword, kinds: anyKind, never: true})
}

// constrains reports whether the clause can refuse anything.
func (c *clause) constrains() bool {
	return c.kinds != anyKind || c.enums != nil || c.lower != nil || c.upper != nil || c.steps != nil ||
		c.minLength >= 0 || c.maxLength >= 0 || c.pattern != nil || c.format != "" ||
		c.minItems >= 0 || c.maxItems >= 0 || c.unique || c.prefix != nil || c.rest != nil ||
		c.minProps >= 0 || c.maxProps >= 0 || c.required != nil || c.props != nil || c.patterns != nil ||
		c.additional != nil || c.needs != nil || c.choices != nil || c.rules != nil
}
