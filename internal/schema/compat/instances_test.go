package compat

import (
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
)

// instances makes events near the boundaries of a schema, without any code of
// the package: most of them follow the schema, some go astray.
type instances struct {
	*rand.Rand
	root  any
	pool  []any    // values that stand in one of the schemas
	names []string // member names that stand in one of the schemas
}

func newInstances(r *rand.Rand, root, other any) *instances {
	g := &instances{Rand: r, root: root, names: []string{"zz", "x-other"}, pool: []any{nil, true, "", "a", json.Number("0"), []any{}, map[string]any{}}}
	g.collect(root)
	g.collect(other)
	return g
}

func (g *instances) collect(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(keysOf(v)) {
			value := v[name]
			if props, ok := value.(map[string]any); ok && name == "properties" {
				g.names = append(g.names, slices.Sorted(keysOf(props))...)
			}
			if list, ok := value.([]any); ok && name == "enum" {
				g.pool = append(g.pool, list...)
			}
			if name == "const" {
				g.pool = append(g.pool, value)
			}
			g.collect(value)
		}
	case []any:
		for _, item := range v {
			g.collect(item)
		}
	case string:
		g.pool = append(g.pool, v)
	case json.Number:
		g.pool = append(g.pool, v)
	}
}

func keysOf(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range m {
			if !yield(name) {
				return
			}
		}
	}
}

func (g *instances) any() any { return g.pool[g.IntN(len(g.pool))] }

// make follows a schema down to a depth.
func (g *instances) make(schema any, depth int) any {
	m, ok := schema.(map[string]any)
	if !ok || depth > 6 || g.IntN(25) == 0 {
		return g.any()
	}
	m = g.merged(m, 0)
	if c, ok := m["const"]; ok {
		return c
	}
	if list, ok := m["enum"].([]any); ok && g.IntN(12) > 0 {
		return list[g.IntN(len(list))]
	}
	switch g.typeOf(m) {
	case "null":
		return nil
	case "boolean":
		return g.IntN(2) == 0
	case "integer":
		return g.number(m, true)
	case "number":
		return g.number(m, false)
	case "string":
		return g.text(m)
	case "array":
		return g.array(m, depth)
	case "object":
		return g.object(m, depth)
	}
	return g.any()
}

// merged puts references, "allOf" and one of the alternatives into one schema,
// roughly.
func (g *instances) merged(m map[string]any, depth int) map[string]any {
	if depth > 5 {
		return m
	}
	out := make(map[string]any)
	add := func(part any) {
		p, ok := part.(map[string]any)
		if !ok {
			return
		}
		for name, value := range g.merged(p, depth+1) {
			a, both := out[name].(map[string]any)
			b, also := value.(map[string]any)
			if both && also && name == "properties" {
				for k, v := range b {
					a[k] = v
				}
				continue
			}
			if list, ok := value.([]any); ok && name == "required" {
				have, _ := out[name].([]any)
				value = slices.Concat(have, list)
			}
			out[name] = value
		}
	}
	if ref, ok := m["$ref"].(string); ok {
		add(g.lookup(ref))
	}
	for name, value := range m {
		if props, ok := value.(map[string]any); ok && name == "properties" {
			copied := make(map[string]any)
			for k, v := range props {
				copied[k] = v
			}
			value = copied
		}
		if name != "$ref" && name != "allOf" && name != "anyOf" && name != "oneOf" {
			out[name] = value
		}
	}
	list, _ := m["allOf"].([]any)
	for _, part := range list {
		add(part)
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		if list, ok := m[keyword].([]any); ok {
			add(list[g.IntN(len(list))])
		}
	}
	return out
}

func (g *instances) lookup(ref string) any {
	at := g.root
	for token := range strings.SplitSeq(strings.TrimPrefix(strings.TrimPrefix(ref, "#"), "/"), "/") {
		if m, ok := at.(map[string]any); ok && token != "" {
			at = m[token]
		}
	}
	return at
}

func (g *instances) typeOf(m map[string]any) string {
	switch t := m["type"].(type) {
	case string:
		return t
	case []any:
		return t[g.IntN(len(t))].(string)
	}
	hints := map[string]string{
		"properties": "object", "required": "object", "additionalProperties": "object", "items": "array", "prefixItems": "array",
		"minLength": "string", "maxLength": "string", "pattern": "string", "format": "string", "minimum": "number", "maximum": "number",
	}
	for _, name := range slices.Sorted(keysOf(m)) {
		if t, ok := hints[name]; ok && g.IntN(2) == 0 {
			return t
		}
	}
	return []string{"null", "boolean", "integer", "number", "string", "array", "object", ""}[g.IntN(8)]
}

func (g *instances) number(m map[string]any, integer bool) any {
	base := new(big.Rat)
	var limits []any
	for _, keyword := range []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"} {
		if n, ok := m[keyword].(json.Number); ok {
			limits = append(limits, n)
		}
	}
	for _, v := range g.pool {
		if n, ok := v.(json.Number); ok && g.IntN(4) == 0 {
			limits = append(limits, n)
		}
	}
	if len(limits) > 0 {
		base.SetString(string(limits[g.IntN(len(limits))].(json.Number)))
	}
	steps := []string{"0", "1", "-1", "0.5", "-0.5", "2", "3", "-2"}
	step, _ := new(big.Rat).SetString(steps[g.IntN(len(steps))])
	if n, ok := m["multipleOf"].(json.Number); ok && g.IntN(2) == 0 {
		step.SetString(string(n))
		step.Mul(step, big.NewRat(int64(g.IntN(9)-2), 1))
		base.SetInt64(0)
	}
	base.Add(base, step)
	if integer && !base.IsInt() {
		base.SetInt(floor(base))
	}
	n, _ := number(base)
	return n
}

func (g *instances) length(m map[string]any, low, high string, most int) int {
	var candidates []int
	for _, keyword := range []string{low, high} {
		if n, ok := m[keyword].(json.Number); ok {
			i, _ := n.Int64()
			candidates = append(candidates, int(i), int(i)+1, int(i)-1)
		}
	}
	for _, v := range g.pool {
		if n, ok := v.(json.Number); ok && g.IntN(6) == 0 {
			if i, err := n.Int64(); err == nil {
				candidates = append(candidates, int(i))
			}
		}
	}
	candidates = append(candidates, g.IntN(3))
	return min(max(candidates[g.IntN(len(candidates))], 0), most)
}

var formatExamples = []string{"2026-01-31T12:00:00Z", "2026-01-31", "12:00:00Z", "a@b.c", "::1", "1.2.3.4", "a:b", "/a", "P1D", "x y", "123e4567-e89b-12d3-a456-426614174000"}

func (g *instances) text(m map[string]any) any {
	if m["format"] != nil && g.IntN(4) > 0 {
		return formatExamples[g.IntN(len(formatExamples))]
	}
	alphabet := []string{"a", "A", "0", "é", "b"}
	one := alphabet[g.IntN(len(alphabet))]
	text := strings.Repeat(one, g.length(m, "minLength", "maxLength", 40))
	if g.IntN(4) == 0 {
		text += alphabet[g.IntN(len(alphabet))]
	}
	return text
}

func (g *instances) array(m map[string]any, depth int) any {
	prefix, _ := m["prefixItems"].([]any)
	rest := m["items"]
	if list, ok := rest.([]any); ok {
		prefix, rest = list, m["additionalItems"]
	}
	n := g.length(m, "minItems", "maxItems", 6)
	if g.IntN(3) == 0 {
		n = max(n, len(prefix))
	}
	items := make([]any, 0, n)
	for i := range n {
		switch {
		case i < len(prefix):
			items = append(items, g.make(prefix[i], depth+1))
		case i > 0 && g.IntN(5) == 0:
			items = append(items, items[i-1])
		default:
			items = append(items, g.make(rest, depth+1))
		}
	}
	return items
}

func (g *instances) object(m map[string]any, depth int) any {
	object := make(map[string]any)
	props, _ := m["properties"].(map[string]any)
	required, _ := m["required"].([]any)
	schemaOf := func(name string) any {
		if p, ok := props[name]; ok {
			return p
		}
		return m["additionalProperties"]
	}
	eager := g.IntN(3)
	for _, name := range required {
		if g.IntN(30) > 0 {
			object[name.(string)] = g.make(schemaOf(name.(string)), depth+1)
		}
	}
	for _, name := range slices.Sorted(keysOf(props)) {
		if _, present := object[name]; !present && g.IntN(3) < eager {
			object[name] = g.make(props[name], depth+1)
		}
	}
	if g.IntN(4) == 0 {
		name := g.names[g.IntN(len(g.names))]
		object[name] = g.make(schemaOf(name), depth+1)
	}
	return object
}
