package compat

import (
	"math/big"
	"regexp"
	"slices"
	"strconv"

	"eventgateway/internal/schema/ecma"
)

// maxCount is the largest length or count that is reasoned about; it keeps them
// far from overflowing.
const maxCount = 1 << 40

// parser reads the keywords of one schema object. A keyword whose value the metaschema
// does not allow becomes opaque: nothing is concluded from it.
type parser struct {
	*clause
	s   *reader
	raw map[string]any
}

// parse makes a clause from a schema object, without "$ref" and "allOf".
func (s *reader) parse(n node, raw map[string]any) *clause {
	p := &parser{clause: s.newClause(n), s: s, raw: raw}
	p.obj = raw
	if _, nested := raw["$schema"]; nested && n.at != "" {
		p.opaque("$schema")
	}
	if list, present := raw["allOf"]; present {
		if items, ok := list.([]any); !ok || len(items) == 0 {
			p.opaque("allOf")
		}
	}
	p.general()
	p.numbers()
	p.strings()
	p.arrays()
	p.objects()
	p.choice("anyOf", false)
	p.choice("oneOf", true)
	p.conditions()
	return p.clause
}

func (p *parser) dialect() int { return p.node.doc.dialect }

func (p *parser) general() {
	switch t := p.raw["type"].(type) {
	case nil:
		if _, present := p.raw["type"]; present {
			p.opaque("type")
		}
	case string:
		p.kinds = kindOfType(t)
	case []any:
		p.kinds = noKind
		for _, name := range t {
			text, _ := name.(string)
			p.kinds |= kindOfType(text)
		}
	default:
		p.opaque("type")
	}
	if p.kinds == noKind { // an unknown type, or none at all
		p.kinds = anyKind
		p.opaque("type")
	}
	if list, present := p.raw["enum"]; present {
		// The validator ignores an empty list, the standard does not.
		if items, ok := list.([]any); ok && len(items) > 0 {
			p.enums = append(p.enums, newValues("enum", items))
		} else {
			p.opaque("enum")
		}
	}
	if value, present := p.raw["const"]; present && p.dialect() >= dialect6 {
		p.enums = append(p.enums, newValues("const", []any{value}))
	}
}

func newValues(keyword string, list []any) values {
	v := values{keyword: keyword, list: list, index: make(map[string]bool, len(list))}
	for _, item := range list {
		v.index[canonical(item)] = true
	}
	return v
}

func (p *parser) numbers() {
	p.lower = p.bound("minimum", "exclusiveMinimum", -1)
	p.upper = p.bound("maximum", "exclusiveMaximum", 1)
	if step, ok := p.rational("multipleOf"); ok {
		if step.Sign() > 0 {
			p.steps = []*big.Rat{step}
		} else {
			p.opaque("multipleOf")
		}
	}
}

// bound reads a limit and its exclusive form: another number, or in draft 4 a boolean
// that makes the limit exclusive.
func (p *parser) bound(keyword, exclusive string, sign int) *bound {
	var limit *bound
	if at, ok := p.rational(keyword); ok {
		limit = &bound{at: at, keyword: keyword}
	}
	if flag, ok := p.raw[exclusive].(bool); ok {
		if limit != nil && flag {
			limit.open, limit.keyword = true, exclusive
		}
		return limit
	}
	if at, ok := p.rational(exclusive); ok {
		limit = tighter(limit, &bound{at: at, open: true, keyword: exclusive}, sign)
	}
	return limit
}

// tighter picks the bound that allows less; sign is 1 for upper bounds and -1
// for lower ones.
func tighter(a, b *bound, sign int) *bound {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	c := a.at.Cmp(b.at) * sign
	if c > 0 || c == 0 && b.open {
		return b
	}
	return a
}

func (p *parser) rational(keyword string) (*big.Rat, bool) {
	value, present := p.raw[keyword]
	if !present {
		return nil, false
	}
	r, ok := rational(value)
	if !ok {
		p.opaque(keyword)
	}
	return r, ok
}

// count reads a length or a number of things; -1 is none.
func (p *parser) count(keyword string) int {
	r, ok := p.rational(keyword)
	if !ok {
		return -1
	}
	if !r.IsInt() || r.Sign() < 0 || r.Cmp(big.NewRat(maxCount, 1)) > 0 {
		p.opaque(keyword)
		return -1
	}
	return int(r.Num().Int64())
}

func (p *parser) strings() {
	p.minLength, p.maxLength = p.count("minLength"), p.count("maxLength")
	if text, present := p.raw["pattern"]; present {
		p.pattern = compile(text)
		if p.pattern == nil {
			p.opaque("pattern")
		} else {
			p.shortest, p.longest = patternLengths(p.pattern.String())
		}
	}
	if name, ok := p.raw["format"].(string); ok {
		p.format = canonicalFormat(name)
	}
}

func compile(pattern any) *regexp.Regexp {
	text, ok := pattern.(string)
	if !ok {
		return nil
	}
	compiled, err := ecma.Compile(text)
	if err != nil {
		return nil
	}
	return compiled
}

func (p *parser) arrays() {
	p.minItems, p.maxItems = p.count("minItems"), p.count("maxItems")
	p.unique, _ = p.raw["uniqueItems"].(bool)
	items, present := p.raw["items"]
	list, isList := items.([]any)
	switch {
	case p.dialect() >= dialect2020:
		if _, ok := p.raw["prefixItems"]; ok {
			p.prefix = p.list("prefixItems")
		}
		if isList {
			p.opaque("items")
		} else if present {
			p.rest = p.single("items")
		}
	case isList:
		if len(list) > 0 {
			p.prefix = p.list("items")
		}
		if _, ok := p.raw["additionalItems"]; ok {
			p.rest = p.single("additionalItems")
		}
	case present:
		p.rest = p.single("items")
	}
}

func (p *parser) objects() {
	p.minProps, p.maxProps = p.count("minProperties"), p.count("maxProperties")
	if list, present := p.raw["required"]; present {
		names, ok := stringsOf(list)
		if !ok {
			p.opaque("required")
		}
		p.required = names
	}
	if props, present := p.raw["properties"]; present {
		p.props = p.members("properties", props)
	}
	if patterns, ok := p.raw["patternProperties"].(map[string]any); ok {
		for _, text := range sortedKeys(patterns) {
			compiled := compile(text)
			if compiled == nil {
				p.opaque("patternProperties")
				p.patterns = nil
				return // it is not known either which names are additional
			}
			p.patterns = append(p.patterns, patternNode{compiled, p.node.child("patternProperties", patterns[text], text)})
		}
	}
	if _, present := p.raw["additionalProperties"]; present {
		p.additional = p.single("additionalProperties")
	}
	if p.dialect() >= dialect2019 {
		p.needsOf("dependentRequired")
	}
	p.needsOf("dependencies") // the validator knows it in every draft
}

func (p *parser) needsOf(keyword string) {
	deps, ok := p.raw[keyword].(map[string]any)
	if !ok {
		return
	}
	for _, name := range sortedKeys(deps) {
		if others, ok := stringsOf(deps[name]); ok {
			p.needs = append(p.needs, need{keyword: keyword, name: name, others: others})
		}
	}
}

func (p *parser) choice(keyword string, one bool) {
	if _, present := p.raw[keyword]; !present {
		return
	}
	nodes := p.list(keyword)
	if nodes == nil {
		return
	}
	p.s.ids++
	p.choices = append(p.choices, &choice{id: p.s.ids, one: one, keyword: keyword, nodes: nodes})
}

// single is the schema in a keyword's value.
func (p *parser) single(keyword string) *node {
	n := p.node.child(keyword, p.raw[keyword])
	return &n
}

// list are the schemas of a keyword whose value is a list of them.
func (p *parser) list(keyword string) []node {
	list, ok := p.raw[keyword].([]any)
	if !ok || len(list) == 0 {
		p.opaque(keyword)
		return nil
	}
	var nodes []node
	for i, raw := range list {
		nodes = append(nodes, p.node.child(keyword, raw, index(i)))
	}
	return nodes
}

// members are the schemas of a keyword whose value is an object of them.
func (p *parser) members(keyword string, value any) map[string]node {
	m, ok := value.(map[string]any)
	if !ok {
		p.opaque(keyword)
		return nil
	}
	nodes := make(map[string]node, len(m))
	for name, raw := range m {
		nodes[name] = p.node.child(keyword, raw, name)
	}
	return nodes
}

func stringsOf(value any) ([]string, bool) {
	list, ok := value.([]any)
	if !ok {
		return nil, false
	}
	var names []string
	for _, item := range list {
		name, ok := item.(string)
		if !ok {
			return nil, false
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, true
}

func index(i int) string { return strconv.Itoa(i) }
