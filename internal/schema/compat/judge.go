package compat

import (
	"math/big"
	"unicode/utf8"
)

// answer is what is known about a question.
type answer uint8

const (
	unknown answer = iota
	yes
	no
)

func (a answer) and(b answer) answer {
	switch {
	case a == no || b == no:
		return no
	case a == yes && b == yes:
		return yes
	}
	return unknown
}

func (a answer) negate() answer {
	switch a {
	case yes:
		return no
	case no:
		return yes
	}
	return unknown
}

func answerOf(ok bool) answer {
	if ok {
		return yes
	}
	return no
}

// culprit is the keyword that refuses a value.
type culprit struct {
	clause  *clause
	keyword string
	detail  string   // the member that it is about, or empty
	path    []string // from the judged value to the refused one
}

// judgeDepth bounds how deep a judgement goes: in-place references can form a circle
// that never reaches into the value.
const judgeDepth = 200

// valid judges a value against a schema.
func (s *validator) valid(n node, v any, depth int) answer {
	a, _ := s.judgeAt(set{clauses: s.flatten(n)}, v, depth+1)
	return a
}

// judge says whether a value is in a set, and if not, what refuses it.
func (s *validator) judge(a set, v any) (answer, culprit) {
	return s.judgeAt(a, v, 0)
}

func (s *validator) judgeAt(a set, v any, depth int) (answer, culprit) {
	if depth > judgeDepth || !s.burn() {
		return unknown, culprit{}
	}
	k := kindOf(v)
	if a.limit() && !a.only.has(k) {
		return no, culprit{}
	}
	result := yes
	for _, c := range a.clauses {
		answer, keyword, detail := s.judgeOwn(c, k, v)
		if answer == no {
			return no, culprit{clause: c, keyword: keyword, detail: detail}
		}
		result = result.and(answer)
		answer, why := s.judgeParts(c, v, depth)
		if answer == no {
			return no, why
		}
		result = result.and(answer)
		answer, keyword = s.judgeRules(c, k, v, depth)
		if answer == no {
			return no, culprit{clause: c, keyword: keyword}
		}
		result = result.and(answer)
	}
	return result, culprit{}
}

// judgeOwn judges a value by the keywords that need no other schema.
func (s *validator) judgeOwn(c *clause, k kind, v any) (a answer, keyword, detail string) {
	if !c.kinds.has(k) {
		if c.obj == nil {
			return no, c.node.via, ""
		}
		return no, "type", ""
	}
	for _, e := range c.enums {
		if !e.index[canonical(v)] {
			return no, e.keyword, ""
		}
	}
	switch v := v.(type) {
	case string:
		return judgeString(c, v)
	case []any:
		keyword := judgeArray(c, v)
		return answerOf(keyword == ""), keyword, ""
	case map[string]any:
		keyword, detail := judgeObject(c, v)
		return answerOf(keyword == ""), keyword, detail
	}
	if k&anyNumber != 0 {
		return judgeNumber(c, v)
	}
	return yes, "", ""
}

func judgeNumber(c *clause, v any) (a answer, keyword, detail string) {
	r, ok := rational(v)
	if !ok {
		return unknown, "", ""
	}
	if c.lower != nil && !c.lower.allows(r, -1) {
		return no, c.lower.keyword, ""
	}
	if c.upper != nil && !c.upper.allows(r, 1) {
		return no, c.upper.keyword, ""
	}
	for _, step := range c.steps {
		if !new(big.Rat).Quo(r, step).IsInt() {
			return no, "multipleOf", ""
		}
	}
	return yes, "", ""
}

// allows reports whether a number is within the bound; sign is as for tighter.
func (b *bound) allows(r *big.Rat, sign int) bool {
	c := r.Cmp(b.at) * sign
	return c < 0 || c == 0 && !b.open
}

func judgeString(c *clause, v string) (a answer, keyword, detail string) {
	length := utf8.RuneCountInString(v)
	switch {
	case c.minLength >= 0 && length < c.minLength:
		return no, "minLength", ""
	case c.maxLength >= 0 && length > c.maxLength:
		return no, "maxLength", ""
	case c.pattern != nil && !c.pattern.MatchString(v):
		return no, "pattern", ""
	case c.format != "":
		return judgeFormat(c.format, v), "format", ""
	}
	return yes, "", ""
}

func judgeArray(c *clause, v []any) string {
	switch {
	case c.minItems >= 0 && len(v) < c.minItems:
		return "minItems"
	case c.maxItems >= 0 && len(v) > c.maxItems:
		return "maxItems"
	case c.unique && !distinct(v):
		return "uniqueItems"
	}
	return ""
}

func distinct(items []any) bool {
	seen := make(map[string]bool, len(items))
	for _, item := range items {
		key := canonical(item)
		if seen[key] {
			return false
		}
		seen[key] = true
	}
	return true
}

func judgeObject(c *clause, v map[string]any) (keyword, detail string) {
	if c.minProps >= 0 && len(v) < c.minProps {
		return "minProperties", ""
	}
	if c.maxProps >= 0 && len(v) > c.maxProps {
		return "maxProperties", ""
	}
	for _, name := range c.required {
		if _, present := v[name]; !present {
			return "required", name
		}
	}
	for _, n := range c.needs {
		if _, present := v[n.name]; !present {
			continue
		}
		for _, other := range n.others {
			if _, present := v[other]; !present {
				return n.keyword, other
			}
		}
	}
	return "", ""
}

// judgeParts judges the members or items of a value by their schemas.
func (s *validator) judgeParts(c *clause, v any, depth int) (answer, culprit) {
	result := yes
	descend := func(token string, part any, nodes []node) (culprit, bool) {
		for _, n := range nodes {
			a, why := s.judgeAt(set{clauses: s.flatten(n)}, part, depth+1)
			if a == no {
				why.path = append([]string{token}, why.path...)
				return why, true
			}
			result = result.and(a)
		}
		return culprit{}, false
	}
	switch v := v.(type) {
	case []any:
		if c.prefix == nil && c.rest == nil {
			return yes, culprit{}
		}
		for i, item := range v {
			if why, refused := descend(index(i), item, c.item(i)); refused {
				return no, why
			}
		}
	case map[string]any:
		if c.props == nil && c.patterns == nil && c.additional == nil {
			return yes, culprit{}
		}
		for _, name := range sortedKeys(v) {
			if why, refused := descend(name, v[name], c.property(name)); refused {
				return no, why
			}
		}
	}
	return result, culprit{}
}

func (s *validator) judgeRules(c *clause, k kind, v any, depth int) (answer, string) {
	result := yes
	for _, ch := range c.choices {
		a := s.judgeChoice(ch, v, depth)
		if a == no {
			return no, ch.keyword
		}
		result = result.and(a)
	}
	for _, r := range c.rules {
		if !r.kinds.has(k) {
			continue
		}
		a := unknown
		if r.judge != nil {
			a = r.judge(s, v, depth)
		}
		if a == no {
			return no, r.keyword
		}
		result = result.and(a)
	}
	return result, ""
}

func (s *validator) judgeChoice(ch *choice, v any, depth int) answer {
	sure, open := 0, 0
	for _, n := range ch.nodes {
		switch s.valid(n, v, depth) {
		case yes:
			if !ch.one {
				return yes
			}
			sure++
		case unknown:
			open++
		}
	}
	switch {
	case sure > 1 || sure+open == 0:
		return no
	case open > 0:
		return unknown
	}
	return yes
}
