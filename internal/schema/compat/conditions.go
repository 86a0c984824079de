package compat

// conditions reads the keywords that proofs do not reason about, including those that
// cannot be judged on values.
func (p *parser) conditions() {
	dialect := p.dialect()
	if raw, present := p.raw["not"]; present {
		n := p.node.child("not", raw)
		p.rules = append(p.rules, rule{
			keyword: "not", kinds: anyKind, group: []string{"not"}, not: &n, where: []node{n},
			judge: func(s *validator, v any, depth int) answer { return s.valid(n, v, depth).negate() },
		})
	}
	if raw := p.raw["if"]; raw != nil && dialect >= dialect7 {
		p.ifThenElse()
	}
	if _, present := p.raw["contains"]; present && dialect >= dialect6 {
		p.contains()
	}
	if _, present := p.raw["propertyNames"]; present && dialect >= dialect6 {
		p.propertyNames()
	}
	if dialect >= dialect2019 {
		p.dependentSchemas("dependentSchemas")
		p.unevaluated("unevaluatedProperties", kindObject)
		p.unevaluated("unevaluatedItems", kindArray)
	}
	p.dependentSchemas("dependencies")
	if _, present := p.raw["$recursiveRef"]; present && dialect >= dialect2019 {
		p.opaque("$recursiveRef")
	}
	if _, present := p.raw["$dynamicRef"]; present && dialect >= dialect2020 {
		p.opaque("$dynamicRef")
	}
}

// unevaluated reads a keyword whose meaning depends on all its neighbours.
func (p *parser) unevaluated(keyword string, kinds kind) {
	if _, present := p.raw[keyword]; present {
		p.rules = append(p.rules, rule{keyword: keyword, kinds: kinds})
	}
}

func (p *parser) ifThenElse() {
	condition := p.node.child("if", p.raw["if"])
	branch := func(keyword string) *node {
		if _, present := p.raw[keyword]; !present {
			return nil
		}
		return p.single(keyword)
	}
	then, otherwise := branch("then"), branch("else")
	if then == nil && otherwise == nil {
		return
	}
	judge := func(s *validator, v any, depth int) answer {
		apply := func(n *node) answer {
			if n == nil {
				return yes
			}
			return s.valid(*n, v, depth)
		}
		switch s.valid(condition, v, depth) {
		case yes:
			return apply(then)
		case no:
			return apply(otherwise)
		}
		if a := apply(then); a == apply(otherwise) {
			return a
		}
		return unknown
	}
	p.rules = append(p.rules, rule{keyword: "if", kinds: anyKind, group: []string{"if", "then", "else"}, judge: judge, where: []node{condition}})
}

func (p *parser) contains() {
	n := p.node.child("contains", p.raw["contains"])
	least, most, group := 1, -1, []string{"contains"}
	if p.dialect() >= dialect2019 {
		group = append(group, "minContains", "maxContains")
		if least = p.count("minContains"); least < 0 {
			least = 1
		}
		most = p.count("maxContains")
	}
	judge := func(s *validator, v any, depth int) answer {
		sure, open := 0, 0
		for _, item := range v.([]any) {
			switch s.valid(n, item, depth) {
			case yes:
				sure++
			case unknown:
				open++
			}
		}
		switch {
		case sure+open < least || most >= 0 && sure > most:
			return no
		case sure >= least && (most < 0 || sure+open <= most):
			return yes
		}
		return unknown
	}
	p.rules = append(p.rules, rule{keyword: "contains", kinds: kindArray, group: group, judge: judge, has: &n})
}

func (p *parser) propertyNames() {
	n := p.node.child("propertyNames", p.raw["propertyNames"])
	judge := func(s *validator, v any, depth int) answer {
		result := yes
		for name := range v.(map[string]any) {
			result = result.and(s.valid(n, name, depth))
		}
		return result
	}
	p.rules = append(p.rules, rule{keyword: "propertyNames", kinds: kindObject, group: []string{"propertyNames"}, judge: judge})
}

// dependentSchemas reads the keyword, or the entries of "dependencies" that are
// schemas.
func (p *parser) dependentSchemas(keyword string) {
	deps, ok := p.raw[keyword].(map[string]any)
	if !ok {
		return
	}
	nodes := make(map[string]node)
	for name, raw := range deps {
		if _, list := raw.([]any); !list {
			nodes[name] = p.node.child(keyword, raw, name)
		}
	}
	if len(nodes) == 0 {
		return
	}
	judge := func(s *validator, v any, depth int) answer {
		result := yes
		for name, n := range nodes {
			if _, present := v.(map[string]any)[name]; present {
				result = result.and(s.valid(n, v, depth))
			}
		}
		return result
	}
	var where []node
	for _, name := range sortedKeys(nodes) {
		where = append(where, node{fixed: []*clause{p.s.hint(func(h *clause) { h.required = []string{name} })}})
	}
	p.rules = append(p.rules, rule{keyword: keyword, kinds: kindObject, group: []string{keyword}, judge: judge, where: where})
}
