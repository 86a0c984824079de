package compat

// empty reports whether it is proven that no value is in the set. A set met
// again inside its own members counts as empty meanwhile: a value of it would contain
// a smaller one, and so on forever.
func (s *generator) empty(a set) bool {
	if len(a.clauses) == 0 {
		return false
	}
	key := a.key()
	if known, ok := s.emptiness[key]; ok {
		return known
	}
	if s.emptying[key] {
		return true
	}
	if !s.burn() {
		return false
	}
	outermost := len(s.emptying) == 0
	s.emptying[key] = true
	result := s.emptyBranches(a)
	delete(s.emptying, key)
	// Inside another question the result may rest on its assumption. That the
	// set is not empty may not: assumptions only make sets emptier. Without fuel
	// nothing was found out.
	if s.fuel > 0 && (outermost || !result) {
		s.emptiness[key] = result
	}
	return result
}

func (s *generator) emptyBranches(a set) bool {
	branches, ok := s.branches(a)
	if !ok {
		return false
	}
	for _, b := range branches {
		for _, k := range kinds {
			if b.kinds().has(k) && !s.emptyKind(b.of(k), k) {
				return false
			}
		}
	}
	return true
}

func (s *generator) emptyKind(a set, k kind) bool {
	if list, ok := s.finite(a, k); ok {
		for _, v := range list {
			if answer, _ := s.judge(a, v); answer != no {
				return false
			}
		}
		return true
	}
	f := s.facts(a, k)
	switch k {
	case kindInteger, kindFraction:
		// A multiple of an integer is an integer.
		return f.emptyInterval() || k == kindFraction && f.step != nil && f.step.IsInt()
	case kindString:
		return f.maxLength >= 0 && f.minLength > f.maxLength
	case kindArray:
		longest := s.maxItems(a, f)
		return longest >= 0 && f.minItems > longest
	case kindObject:
		for _, name := range f.required {
			if s.empty(s.property(a, name)) {
				return true
			}
		}
		most := s.maxProps(a, f)
		return most >= 0 && f.minProps > most
	}
	return false
}
