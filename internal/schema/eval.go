package schema

import (
	"encoding/json"
	"unicode/utf8"
)

// eval says whether a accepts v. It stops at the first thing that is wrong.
func (r *run) eval(a *acceptor, v any) verdict {
	if a.anything {
		return yes
	}
	if a.nothing {
		return no
	}
	if !r.spend(visitUnits) {
		return ask
	}
	if r.left > r.rememberAt {
		return r.decide(a, v)
	}
	at, ok := identity(v)
	if !ok {
		return r.decide(a, v)
	}
	key := verdictKey{a, at}
	if known, ok := r.verdicts[key]; ok {
		return known
	}
	r.spend(rememberUnits)
	result := r.decide(a, v)
	if r.left >= 0 {
		if r.verdicts == nil {
			r.verdicts = make(map[verdictKey]verdict)
		}
		r.verdicts[key] = result
	}
	return result
}

func (r *run) decide(a *acceptor, v any) verdict {
	result := r.own(a, v)
	if result == no {
		return no
	}
	switch v := v.(type) {
	case map[string]any:
		result = result.and(r.members(a.object, v))
	case []any:
		result = result.and(r.items(a.array, v))
	}
	for i := 0; i < len(a.all) && result != no; i++ {
		result = result.and(r.eval(a.all[i].to, v))
	}
	if result != no && (a.not != nil || a.anyOf != nil || a.oneOf != nil || a.cond != nil) {
		result = result.and(r.combined(a, v))
	}
	if result == no {
		return no
	}
	switch v := v.(type) {
	case map[string]any:
		if len(a.object.dependencies) > 0 {
			result = result.and(r.dependent(a.object, v))
		}
		if a.object.unevaluated != nil && result != no {
			result = result.and(r.unevaluatedMembers(a, v))
		}
	case []any:
		if a.array.unevaluated != nil {
			result = result.and(r.unevaluatedItems(a, v))
		}
	}
	return result
}

// own decides by the keywords that say something about v itself, not about what is in it
// nor by way of other schemas.
func (r *run) own(a *acceptor, v any) verdict {
	if a.constant != nil && !a.constant.has(r, v) || a.enum != nil && !a.enum.has(r, v) {
		return no.unless(r.left < 0)
	}
	switch v := v.(type) {
	case string:
		if a.types&typeString == 0 {
			return no
		}
		result := yes
		if a.string != nil {
			result = a.string.decide(r, v)
		}
		if a.format != nil && result != no {
			result = result.and(a.format.decide(r, v))
		}
		return result
	case json.Number:
		return r.ownNumber(a, string(v))
	case map[string]any:
		r.spend(a.object.ownUnits)
		return verdictOf(a.types&typeObject != 0 && a.object.ownDecide(v))
	case []any:
		return verdictOf(a.types&typeArray != 0 && len(v) >= a.array.min && (a.array.max == -1 || len(v) <= a.array.max))
	case bool:
		return verdictOf(a.types&typeBoolean != 0)
	case nil:
		return verdictOf(a.types&typeNull != 0)
	}
	return ask
}

// unless turns a verdict that was reached without units into ask.
func (v verdict) unless(spent bool) verdict {
	if spent {
		return ask
	}
	return v
}

func (s *stringRules) decide(r *run, v string) verdict {
	if s.min != -1 || s.max != -1 {
		r.spend(len(v) >> 2)
		n := utf8.RuneCountInString(v)
		if n < s.min || s.max != -1 && n > s.max {
			return no
		}
	}
	if s.pattern == nil {
		return yes
	}
	return s.pattern.decide(r, v)
}

func (o *objectRules) ownDecide(v map[string]any) bool {
	if len(v) < o.min || o.max != -1 && len(v) > o.max {
		return false
	}
	for _, name := range o.required {
		if _, ok := v[name]; !ok {
			return false
		}
	}
	for i := range o.dependencies {
		d := &o.dependencies[i]
		if len(d.required) == 0 {
			continue
		}
		if _, there := v[d.name]; !there {
			continue
		}
		for _, name := range d.required {
			if _, ok := v[name]; !ok {
				return false
			}
		}
	}
	return true
}

// members decides about what is in an object.
func (r *run) members(o *objectRules, v map[string]any) verdict {
	result := yes
	for _, name := range o.first {
		if value, ok := v[name]; ok && r.eval(o.properties[name], value) == no {
			return no
		}
	}
	if o.plain && len(o.properties) == 0 && o.others.anything {
		return yes
	}
	for name, value := range v {
		if !r.spend(memberUnits + len(name)>>hashShift) {
			return ask
		}
		rule, ok := o.properties[name]
		if o.plain {
			if !ok {
				rule = o.others
			}
			result = result.and(r.eval(rule, value))
		} else {
			result = result.and(r.member(o, rule, name, value))
		}
		if result == no {
			return no
		}
	}
	return result
}

// member decides about one member; rule is that of its name, or nil.
func (r *run) member(o *objectRules, rule *acceptor, name string, value any) verdict {
	result := yes
	matched := rule != nil
	if matched {
		result = r.eval(rule, value)
	}
	for _, p := range o.patterns {
		switch p.decide(r, name) {
		case yes:
			matched = true
			result = result.and(r.eval(p.to, value))
		case ask:
			return ask
		}
	}
	if !matched {
		result = result.and(r.eval(o.others, value))
	}
	if o.names != nil && result != no {
		result = result.and(r.eval(o.names, name))
	}
	if o.regexNames && result != no {
		result = result.and(nameFormat.decide(r, name))
	}
	return result
}

// dependent decides about the schemas that members bring with them.
func (r *run) dependent(o *objectRules, v map[string]any) verdict {
	result := yes
	for _, d := range o.dependencies {
		if _, there := v[d.name]; !there || d.to == nil {
			continue
		}
		if result = result.and(r.eval(d.to, v)); result == no {
			return no
		}
	}
	return result
}

// items decides about what is in an array.
func (r *run) items(a *arrayRules, v []any) verdict {
	result := yes
	if a.unique {
		if _, _, result = r.equalItems(v); result == no {
			return no
		}
	}
	tuple := a.tuple[:min(len(a.tuple), len(v))]
	for i, each := range tuple {
		if result = result.and(r.eval(each, v[i])); result == no {
			return no
		}
	}
	if !a.rest.anything {
		for _, value := range v[len(tuple):] {
			if result = result.and(r.eval(a.rest, value)); result == no {
				return no
			}
			if r.left < 0 {
				return ask
			}
		}
	}
	if a.contains != nil {
		result = result.and(r.containing(a, v))
	}
	return result
}

func (r *run) containing(a *arrayRules, v []any) verdict {
	matched, open := 0, 0
	for _, value := range v {
		switch r.eval(a.contains, value) {
		case yes:
			matched++
		case ask:
			open++
		}
		if r.left < 0 {
			return ask
		}
	}
	return a.counted(matched, open)
}

// counted decides by how many items match, and how many may.
func (a *arrayRules) counted(matched, open int) verdict {
	tooFew := func(n int) bool { return a.minContains != -1 && n < a.minContains }
	tooMany := func(n int) bool { return a.maxContains != -1 && n > a.maxContains }
	switch {
	case tooFew(matched+open) || tooMany(matched):
		return no
	case tooFew(matched) || tooMany(matched+open):
		return ask
	}
	return yes
}

// combined decides by not, anyOf, oneOf and if.
func (r *run) combined(a *acceptor, v any) verdict {
	result := yes
	if a.not != nil {
		result = result.and(r.eval(a.not, v).opposite())
	}
	if a.anyOf != nil && result != no {
		result = result.and(r.any(a.anyOf, v))
	}
	if a.oneOf != nil && result != no {
		result = result.and(r.one(a.oneOf, v))
	}
	if a.cond == nil || result == no {
		return result
	}
	return result.and(r.conditional(a, v))
}

func (r *run) conditional(a *acceptor, v any) verdict {
	then, otherwise := yes, yes
	cond := r.eval(a.cond, v)
	if cond != no && a.then != nil {
		then = r.eval(a.then, v)
	}
	if cond != yes && a.otherwise != nil {
		otherwise = r.eval(a.otherwise, v)
	}
	if cond == ask && then != otherwise {
		return ask
	}
	return then.and(otherwise)
}

func (v verdict) opposite() verdict {
	switch v {
	case yes:
		return no
	case no:
		return yes
	}
	return ask
}

func (r *run) any(list []*acceptor, v any) verdict {
	result := no
	for _, each := range list {
		switch r.eval(each, v) {
		case yes:
			return yes
		case ask:
			result = ask
		}
	}
	return result
}

func (r *run) one(list []*acceptor, v any) verdict {
	accepted, open := 0, 0
	for _, each := range list {
		switch r.eval(each, v) {
		case yes:
			if accepted++; accepted > 1 {
				return no
			}
		case ask:
			open++
		}
	}
	if open > 0 {
		return ask
	}
	return verdictOf(accepted == 1)
}

// ownNumber decides about a number by its type and bounds.
func (r *run) ownNumber(a *acceptor, text string) verdict {
	if a.types&(typeInteger|typeNumber) == 0 {
		return no
	}
	if a.number == nil && (a.types&typeNumber != 0 || isDigits(text)) {
		return yes
	}
	r.spend(numberUnits + len(text)>>2)
	d := parseDecimal(text)
	if a.types&typeNumber == 0 && !d.isInteger() {
		return no
	}
	if a.number == nil {
		return yes
	}
	return a.number.decide(r, d, text)
}

// isDigits reports whether a JSON number has neither fraction nor exponent.
func isDigits(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c != '-' || i > 0) {
			return false
		}
	}
	return true
}
