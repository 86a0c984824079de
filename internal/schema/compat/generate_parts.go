package compat

import (
	"maps"
	"slices"
)

// generateArrays makes arrays as short as possible, and a little longer, with
// equal items if they may be equal.
func (s *generator) generateArrays(a set, depth int, found *collection) {
	f := s.facts(a, kindArray)
	tail := a.prefixLength()
	lengths := []int{f.minItems, f.minItems + 1, f.minItems + 2}
	if found.lean {
		lengths = lengths[:1]
	} else if f.maxItems >= 0 && f.maxItems < f.minItems+50 {
		lengths = append(lengths, f.maxItems)
	}
	items := make(map[int][]any) // by index, all from tail on at tail
	at := func(i, want int) []any {
		i = min(i, tail)
		if _, known := items[i]; !known {
			of := s.item(a, i)
			for _, n := range wanted(a) {
				items[i] = append(items[i], s.generateAt(of.with(s.flatten(n)...), 1, depth+1)...)
			}
			items[i] = append(items[i], s.generateAt(of, want, depth+1)...)
		}
		return items[i]
	}
	for _, length := range lengths {
		if length > maxLength || f.maxItems >= 0 && length > f.maxItems {
			continue
		}
		if found.full() {
			return
		}
		want := variety(depth)
		if f.unique {
			want += length
			delete(items, tail)
		}
		for shift := range 4 {
			if list, ok := arrange(length, shift, f.unique, func(i int) []any { return at(i, want) }); ok {
				found.add(list)
			}
		}
	}
}

// variety is how many values of a part are tried; deep down one is enough.
func variety(depth int) int {
	if depth > 3 {
		return 1
	}
	return 4
}

// wanted is what the arrays of a set must contain.
func wanted(a set) []node {
	var nodes []node
	for _, c := range a.clauses {
		for _, r := range c.rules {
			if r.has != nil {
				nodes = append(nodes, *r.has)
			}
		}
	}
	return nodes
}

// arrange picks an item for each place: at the last place the value with index shift,
// elsewhere the first one, and the next unused one if all must differ.
func arrange(length, shift int, unique bool, at func(int) []any) ([]any, bool) {
	list := make([]any, 0, length)
	used := make(map[string]bool)
	for i := range length {
		candidates := at(i)
		if i == length-1 && shift > 0 {
			if shift >= len(candidates) {
				return nil, false
			}
			candidates = candidates[shift:]
		}
		picked := false
		for _, v := range candidates {
			if key := canonical(v); !unique || !used[key] {
				used[key] = true
				list = append(list, v)
				picked = true
				break
			}
		}
		if !picked {
			return nil, false
		}
	}
	return list, true
}

// generateObjects makes objects with only what is required, then with more.
func (s *generator) generateObjects(a set, depth int, found *collection) {
	f := s.facts(a, kindObject)
	base := make(map[string]any)
	for _, name := range f.required {
		list := s.generateAt(s.property(a, name), 1, depth+1)
		if len(list) == 0 {
			return
		}
		base[name] = list[0]
	}
	if len(base) >= f.minProps {
		found.add(maps.Clone(base))
		if found.full() || found.lean {
			return
		}
	}
	optional := s.optional(a, f, depth, found.lean)
	for _, name := range optional.names {
		if len(base) >= f.minProps {
			break
		}
		s.include(a, base, name, optional.values, depth)
	}
	found.add(maps.Clone(base))
	for _, name := range f.required {
		for _, v := range s.generateAt(s.property(a, name), variety(depth), depth+1) {
			changed := maps.Clone(base)
			changed[name] = v
			found.add(changed)
		}
	}
	all := maps.Clone(base)
	for _, name := range optional.names {
		if found.full() {
			return
		}
		more := maps.Clone(base)
		s.include(a, more, name, optional.values, depth)
		found.add(more)
		s.include(a, all, name, optional.values, depth)
	}
	found.add(all)
}

// optional are members that an object of a set may have.
type optional struct {
	names  []string
	values map[string]any
}

// optional looks for such members; lean, only for as many as are needed.
func (s *generator) optional(a set, f facts, depth int, lean bool) optional {
	o := optional{values: make(map[string]any)}
	most := maxOptional
	if lean {
		most = f.minProps - len(f.required) + 2 // some may need members that cannot exist
	}
	offer := func(name string) {
		if slices.Contains(f.required, name) || slices.Contains(o.names, name) || len(o.names) >= most {
			return
		}
		of := s.property(a, name)
		if lean && s.making[of.key()] > 0 {
			return
		}
		if list := s.generateAt(of, 1, depth+1); len(list) > 0 {
			o.names = append(o.names, name)
			o.values[name] = list[0]
		}
	}
	listed := a.names()
	for _, name := range listed {
		offer(name)
	}
	others, _ := otherNames(a)
	for _, other := range others {
		if other.known {
			offer(other.sample)
		}
	}
	for i := range min(max(2, f.minProps), maxOptional) {
		if name := "other" + index(i); !slices.Contains(listed, name) {
			offer(name)
		}
	}
	return o
}

// include adds a member and those that it needs, or, if that is impossible,
// nothing.
func (s *generator) include(a set, object map[string]any, name string, values map[string]any, depth int) bool {
	if _, present := object[name]; present {
		return true
	}
	v, ok := values[name]
	if !ok {
		list := s.generateAt(s.property(a, name), 1, depth+1)
		if len(list) == 0 {
			return false
		}
		v = list[0]
	}
	object[name] = v
	for _, c := range a.clauses {
		for _, n := range c.needs {
			if n.name != name {
				continue
			}
			for _, other := range n.others {
				if !s.include(a, object, other, values, depth) {
					delete(object, name)
					return false
				}
			}
		}
	}
	return true
}
