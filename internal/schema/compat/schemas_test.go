package compat

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
)

// schemas makes random schemas of the documented subset, and small changes.
type schemas struct {
	*rand.Rand
	defs []string // names that "$ref" may use
}

var dialects = []string{
	"https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2019-09/schema", "http://json-schema.org/draft-07/schema#",
}

// pair is a schema and a changed one, or now and then two unrelated ones.
func (g *schemas) pair() (before, after any) {
	dialect := dialects[0]
	if g.IntN(4) == 0 {
		dialect = dialects[g.IntN(len(dialects))]
	}
	before = g.document(dialect)
	if g.IntN(10) == 0 {
		return before, g.document(dialect)
	}
	after = copyOf(before)
	for range 1 + g.IntN(2) {
		after = g.change(after, 0)
	}
	root := after.(map[string]any)
	root["$schema"] = dialect
	return before, root
}

func (g *schemas) document(dialect string) any {
	g.defs = nil
	for i := range g.IntN(3) {
		g.defs = append(g.defs, "d"+strconv.Itoa(i))
	}
	root := g.object(0, dialect)
	if g.IntN(6) == 0 {
		root = g.schema(0, dialect).(map[string]any)
	}
	defs := make(map[string]any)
	for _, name := range g.defs {
		// References from one definition to itself or another only below
		// "properties" or "items": in place they would not end.
		defs[name] = g.object(1, dialect)
	}
	if len(defs) > 0 {
		root["$defs"] = defs
	}
	root["$schema"] = dialect
	return root
}

func num(i int) json.Number { return json.Number(strconv.Itoa(i)) }

func (g *schemas) small() json.Number { return num(g.IntN(5)) }

func (g *schemas) schema(depth int, dialect string) any {
	switch n := g.IntN(20); {
	case depth > 3:
		return g.scalar()
	case n < 9:
		return g.scalar()
	case n < 11:
		return g.array(depth, dialect)
	case n < 14:
		return g.object(depth, dialect)
	case n < 16 && len(g.defs) > 0:
		ref := map[string]any{"$ref": "#/$defs/" + g.defs[g.IntN(len(g.defs))]}
		if g.IntN(4) == 0 {
			ref["maxProperties"] = g.small()
		}
		return ref
	case n < 17:
		return map[string]any{g.pick("anyOf", "oneOf"): []any{g.scalar(), g.schema(depth+1, dialect)}}
	case n < 18 && g.IntN(3) == 0:
		return g.beyond(dialect)
	case n < 18:
		return map[string]any{"allOf": []any{g.scalar(), g.scalar()}}
	case n < 19:
		return map[string]any{g.pick("anyOf", "oneOf"): []any{map[string]any{"type": "null"}, g.scalar()}}
	}
	return g.scalar()
}

// beyond is a schema with a keyword that is not reasoned about.
func (g *schemas) beyond(dialect string) any {
	switch g.IntN(5) {
	case 0:
		return map[string]any{"not": g.scalar()}
	case 1:
		return map[string]any{"if": g.scalar(), "then": g.scalar(), "else": g.scalar()}
	case 2:
		return map[string]any{"type": "array", "contains": g.scalar(), "maxItems": num(3)}
	case 3:
		return map[string]any{"type": "object", "propertyNames": map[string]any{"maxLength": num(1 + g.IntN(2))}}
	}
	if dialect == dialects[2] {
		return map[string]any{"dependencies": map[string]any{"p0": g.object(4, dialect), "p1": []any{"p0"}}}
	}
	return map[string]any{"dependentSchemas": map[string]any{"p0": g.object(4, dialect)}, "unevaluatedProperties": g.scalar()}
}

func (g *schemas) pick(words ...string) string { return words[g.IntN(len(words))] }

func (g *schemas) scalar() map[string]any {
	m := make(map[string]any)
	switch g.IntN(6) {
	case 0:
		m["type"] = g.pick("string", "integer", "number", "boolean", "null")
	case 1:
		m["type"] = []any{g.pick("string", "integer", "number"), "null"}
	case 2:
		m["enum"] = g.values()
	case 3:
		m["type"] = "string"
		g.text(m)
	case 4, 5:
		m["type"] = g.pick("integer", "number", "integer")
		g.number(m)
	}
	if g.IntN(12) == 0 {
		g.text(m)
	}
	if g.IntN(12) == 0 {
		m["enum"] = g.values()
	}
	return m
}

func (g *schemas) values() []any {
	all := []any{"a", "bb", "", num(1), num(2), json.Number("1.5"), nil, true, json.Number("3"), map[string]any{"p0": num(1)}, []any{num(1)}}
	n := 1 + g.IntN(4)
	var list []any
	for _, i := range g.Perm(len(all))[:n] {
		list = append(list, all[i])
	}
	return list
}

func (g *schemas) text(m map[string]any) {
	switch g.IntN(5) {
	case 0, 1:
		m["minLength"] = g.small()
	case 2:
		m["maxLength"] = g.small()
	case 3:
		m["pattern"] = g.pick("^a", "^[a-z]*$", "^[A-Z]{2}$", "0", "^a{1,3}$")
	case 4:
		m["format"] = g.pick("date-time", "date", "uri", "email", "ipv4", "uuid", "unheard-of")
	}
	if g.IntN(4) == 0 {
		m["maxLength"] = num(2 + g.IntN(6))
	}
}

func (g *schemas) number(m map[string]any) {
	limits := []json.Number{"0", "1", "2", "3", "4.5", "10", "-1", "2.5"}
	if g.IntN(2) == 0 {
		m[g.pick("minimum", "exclusiveMinimum")] = limits[g.IntN(len(limits))]
	}
	if g.IntN(2) == 0 {
		m[g.pick("maximum", "exclusiveMaximum")] = limits[g.IntN(len(limits))]
	}
	if g.IntN(4) == 0 {
		m["multipleOf"] = []json.Number{"1", "2", "3", "0.5", "0.1", "6"}[g.IntN(6)]
	}
}

func (g *schemas) array(depth int, dialect string) map[string]any {
	m := map[string]any{"type": "array"}
	if g.IntN(4) > 0 {
		m["items"] = g.schema(depth+1, dialect)
	}
	if g.IntN(4) == 0 {
		prefix := []any{g.schema(depth+1, dialect), g.schema(depth+1, dialect)}
		if dialect == dialects[0] {
			m["prefixItems"] = prefix
		} else {
			m["items"] = prefix
			if g.IntN(2) == 0 {
				m["additionalItems"] = g.IntN(2) == 0
			}
		}
	}
	if g.IntN(3) == 0 {
		m["minItems"] = g.small()
	}
	if g.IntN(3) == 0 {
		m["maxItems"] = g.small()
	}
	if g.IntN(5) == 0 {
		m["uniqueItems"] = true
	}
	return m
}

func (g *schemas) object(depth int, dialect string) map[string]any {
	m := map[string]any{"type": "object"}
	if g.IntN(10) == 0 {
		delete(m, "type")
	}
	props := make(map[string]any)
	for i := range g.IntN(4) {
		props["p"+strconv.Itoa(i)] = g.schema(depth+1, dialect)
	}
	if len(props) > 0 {
		m["properties"] = props
	}
	if g.IntN(2) == 0 {
		m["required"] = []any{"p" + strconv.Itoa(g.IntN(4))}
	}
	switch g.IntN(6) {
	case 0, 1:
		m["additionalProperties"] = false
	case 2:
		m["additionalProperties"] = g.scalar()
	}
	if g.IntN(10) == 0 {
		m["patternProperties"] = map[string]any{g.pick("^x", "^p", "1$"): g.scalar()}
	}
	if g.IntN(8) == 0 {
		m[g.pick("minProperties", "maxProperties")] = g.small()
	}
	if g.IntN(12) == 0 && dialect != dialects[2] {
		m["dependentRequired"] = map[string]any{"p0": []any{"p1"}}
	}
	return m
}

func copyOf(v any) any {
	return numbersAsText(v)
}

// change changes one keyword somewhere in a schema.
func (g *schemas) change(schema any, depth int) any {
	m, ok := schema.(map[string]any)
	if !ok {
		return g.scalar()
	}
	if inner := g.inside(m); inner != nil && (depth == 0 || g.IntN(3) > 0) && g.IntN(5) > 0 {
		inner(func(s any) any { return g.change(s, depth+1) })
		return m
	}
	switch g.IntN(4) {
	case 0:
		g.drop(m)
	case 1:
		fresh := []map[string]any{g.scalar(), g.object(3, dialects[0]), {"maxLength": g.small()}, {"additionalProperties": false}}[g.IntN(4)]
		for name, value := range fresh {
			if _, ref := m["$ref"]; !ref {
				m[name] = value
			}
		}
	default:
		g.nudge(m)
	}
	return m
}

// inside offers one of the schemas below.
func (g *schemas) inside(m map[string]any) func(func(any) any) {
	var places []func(func(any) any)
	for _, keyword := range slices.Sorted(keysOf(m)) {
		value := m[keyword]
		switch keyword {
		case "properties", "$defs", "patternProperties":
			inner := value.(map[string]any)
			for _, name := range slices.Sorted(keysOf(inner)) {
				places = append(places, func(f func(any) any) { inner[name] = f(inner[name]) })
			}
		case "allOf", "anyOf", "oneOf", "prefixItems":
			inner := value.([]any)
			for i := range inner {
				places = append(places, func(f func(any) any) { inner[i] = f(inner[i]) })
			}
		case "items", "additionalProperties":
			if _, ok := value.(map[string]any); ok {
				places = append(places, func(f func(any) any) { m[keyword] = f(value) })
			}
		}
	}
	if len(places) == 0 {
		return nil
	}
	return places[g.IntN(len(places))]
}

func (g *schemas) drop(m map[string]any) {
	var names []string
	for _, name := range slices.Sorted(keysOf(m)) {
		if name != "$defs" && name != "$schema" {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		delete(m, names[g.IntN(len(names))])
	}
}

// nudge moves limits, lists and types a little.
func (g *schemas) nudge(m map[string]any) {
	for _, i := range g.Perm(len(m)) {
		keyword := slices.Sorted(keysOf(m))[i]
		switch v := m[keyword].(type) {
		case json.Number:
			if n, err := strconv.Atoi(string(v)); err == nil {
				m[keyword] = num(max(n+1-2*g.IntN(2), 1))
				return
			}
		case string:
			if keyword == "type" {
				m[keyword] = []any{v, map[bool]string{true: "null", false: "integer"}[v != "null"]}
				return
			}
		case []any:
			if keyword == "enum" {
				m[keyword] = g.values()
				return
			}
			if keyword == "required" {
				if name := g.pick("p0", "p1", "q"); !slices.Contains(v, any(name)) {
					m[keyword] = append(v, name)
				}
				return
			}
		case map[string]any:
			if keyword == "properties" {
				v[g.pick("p0", "p3", "q")] = g.scalar()
				return
			}
		}
	}
}
