package schema

// A member or item is evaluated if some keyword of the schema, or of a schema that
// accepts the same value beside it, says something about it (JSON Schema 2020-12, core,
// §11). The rules here are the library's, with its differences from the standard.

// settled is what is known about a and v: by eval, or, in an explanation, by the
// library.
func (r *run) settled(a *acceptor, v any) verdict {
	if r.settle != nil {
		return r.settle(a, v)
	}
	return r.eval(a, v)
}

func (r *run) unevaluatedMembers(a *acceptor, v map[string]any) verdict {
	result := yes
	if a.object.limited {
		return yes
	}
	for name, value := range v {
		evaluated := r.evaluatesMember(a, v, name, true)
		if r.left < 0 {
			return ask
		}
		if result = result.and(r.unlessEvaluated(evaluated, a.object.unevaluated, value)); result == no {
			return no
		}
	}
	return result
}

func (r *run) unevaluatedItems(a *acceptor, v []any) verdict {
	result := yes
	for i, value := range v {
		evaluated := r.evaluatesItem(a, v, i, true)
		if r.left < 0 {
			return ask
		}
		if result = result.and(r.unlessEvaluated(evaluated, a.array.unevaluated, value)); result == no {
			return no
		}
	}
	return result
}

// unlessEvaluated decides about a member or an item by the schema for those that nothing
// else evaluates.
func (r *run) unlessEvaluated(evaluated verdict, unevaluated *acceptor, value any) verdict {
	if evaluated == yes {
		return yes
	}
	accepted := r.eval(unevaluated, value)
	if evaluated == ask && accepted != yes {
		return ask
	}
	return accepted
}

// evaluatesMember reports whether a, or a schema beside it, evaluates a member. asked is
// whether a's own unevaluatedProperties is being decided about.
func (r *run) evaluatesMember(a *acceptor, v map[string]any, name string, asked bool) verdict {
	if a.anything || a.nothing || !r.spend(memberUnits+len(name)>>hashShift) {
		return no.unless(r.left < 0)
	}
	o := a.object
	if o.limited || o.unevaluated != nil && !asked {
		return yes
	}
	if _, ok := o.properties[name]; ok {
		return yes
	}
	for _, p := range o.patterns {
		if verdict := p.decide(r, name); verdict != no {
			return verdict
		}
	}
	return r.beside(a, v, func(other *acceptor) verdict { return r.evaluatesMember(other, v, name, false) })
}

// evaluatesItem is evaluatesMember for the item at index i.
func (r *run) evaluatesItem(a *acceptor, v []any, i int, asked bool) verdict {
	if a.anything || a.nothing || !r.spend(memberUnits) {
		return no.unless(r.left < 0)
	}
	rules := a.array
	if i < len(rules.tuple) || rules.limited && !rules.closed || rules.unevaluated != nil && !asked {
		return yes
	}
	result := no
	if rules.contains != nil && rules.containsEvaluates {
		if result = r.settled(rules.contains, v[i]); result == yes {
			return yes
		}
	}
	beside := r.beside(a, v, func(other *acceptor) verdict { return r.evaluatesItem(other, v, i, false) })
	if beside == no {
		return result
	}
	return beside
}

// beside looks for an acceptor that a applies to the same value, that accepts it, and
// that evaluates the part in question.
func (r *run) beside(a *acceptor, v any, evaluates func(*acceptor) verdict) verdict {
	result := no
	look := func(other *acceptor) (found bool) {
		if other == nil {
			return false
		}
		evaluated := evaluates(other)
		if evaluated == no {
			return false
		}
		accepted := r.settled(other, v)
		if accepted == no {
			return false
		}
		result = ask
		if evaluated == yes && accepted == yes {
			result = yes
		}
		return result == yes
	}
	for _, each := range a.all {
		if look(each.to) {
			return yes
		}
	}
	for _, each := range a.anyOf {
		if look(each) {
			return yes
		}
	}
	if look(a.not) || r.besideOneOf(a, v, look) || r.besideIf(a, v, look) {
		return result
	}
	if o, ok := v.(map[string]any); ok {
		for _, d := range a.object.dependencies {
			if _, there := o[d.name]; there && look(d.to) {
				return yes
			}
		}
	}
	return result
}

// besideOneOf looks at the variants up to the second that accepts: there the library
// stops.
func (r *run) besideOneOf(a *acceptor, v any, look func(*acceptor) bool) bool {
	accepted := 0
	for _, each := range a.oneOf {
		if look(each) {
			return true
		}
		if len(a.oneOf) > 2 && r.settled(each, v) == yes {
			if accepted++; accepted == 2 {
				return false
			}
		}
	}
	return false
}

func (r *run) besideIf(a *acceptor, v any, look func(*acceptor) bool) bool {
	if a.cond == nil {
		return false
	}
	if look(a.cond) {
		return true
	}
	switch r.settled(a.cond, v) {
	case yes:
		return look(a.then)
	case no:
		return look(a.otherwise)
	}
	return look(a.then) || look(a.otherwise)
}
