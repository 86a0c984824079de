package compat

import "math/big"

// maxFinite is the largest set whose values are tried one by one.
const maxFinite = 256

// finite lists all values of one kind that a set may have; it may list some
// that the set does not have. It is false if there are too many to list.
func (s *generator) finite(a set, k kind) ([]any, bool) {
	if list, ok := smallestEnum(a, k); ok {
		return list, len(list) <= maxFinite
	}
	f := s.facts(a, k)
	switch k {
	case kindNull:
		return []any{nil}, true
	case kindBoolean:
		return []any{false, true}, true
	case kindInteger, kindFraction:
		return f.numbers()
	case kindString:
		if f.maxLength == 0 {
			return []any{""}, true
		}
	case kindArray:
		if s.maxItems(a, f) == 0 {
			return []any{[]any{}}, true
		}
	case kindObject:
		if s.maxProps(a, f) == 0 {
			return []any{map[string]any{}}, true
		}
	}
	return nil, false
}

// smallestEnum is the shortest "enum" or "const", without other kinds.
func smallestEnum(a set, k kind) ([]any, bool) {
	var shortest *values
	for _, c := range a.clauses {
		for i := range c.enums {
			if shortest == nil || len(c.enums[i].list) < len(shortest.list) {
				shortest = &c.enums[i]
			}
		}
	}
	if shortest == nil {
		return nil, false
	}
	var list []any
	for _, v := range shortest.list {
		if kindOf(v) == k {
			list = append(list, v)
		}
	}
	return list, true
}

// numbers lists the multiples of the step between the bounds.
func (f *facts) numbers() ([]any, bool) {
	if f.emptyInterval() {
		return nil, true
	}
	if f.step == nil || f.lower == nil || f.upper == nil {
		return nil, false
	}
	span := new(big.Rat).Quo(new(big.Rat).Sub(f.upper.at, f.lower.at), f.step)
	if span.Cmp(big.NewRat(maxFinite-1, 1)) > 0 {
		return nil, false
	}
	var list []any
	for r := f.lower.at; r.Cmp(f.upper.at) <= 0; r = new(big.Rat).Add(r, f.step) {
		n, ok := number(r)
		if !ok {
			return nil, false
		}
		list = append(list, n)
	}
	return list, true
}

// maxItems is how long an array can get, given that items may be impossible; -1
// is without limit.
func (s *generator) maxItems(a set, f facts) int {
	for i := range a.prefixLength() + 1 {
		if f.maxItems >= 0 && i >= f.maxItems {
			break
		}
		if s.empty(s.item(a, i)) {
			return i
		}
	}
	return f.maxItems
}

// maxProps is how many members an object can have; -1 is without limit.
func (s *generator) maxProps(a set, f facts) int {
	others, ok := otherNames(a)
	if !ok {
		return f.maxProps
	}
	for _, other := range others {
		if !s.empty(s.otherProperty(a, other.matched)) {
			return f.maxProps
		}
	}
	possible := 0
	for _, name := range a.names() {
		if !s.empty(s.property(a, name)) {
			possible++
		}
	}
	return least(f.maxProps, possible)
}
