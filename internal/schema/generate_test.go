package schema

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// generator makes schemas and data of choices, so that a fuzzer can steer them.
type generator struct {
	choices []byte
	draft   string
	left    int // schemas that may still be made
}

// below picks a number.
func (g *generator) below(n int) int {
	if len(g.choices) == 0 {
		return 0
	}
	c := int(g.choices[0])
	g.choices = g.choices[1:]
	return c % n
}

func pick[T any](g *generator, from ...T) T { return from[g.below(len(from))] }

var (
	generatedNames   = []string{"a", "b", "ab", "c"}
	generatedNumbers = []string{
		"0", "-0", "1", "-1", "2", "3", "10", "1.0", "1e0", "0.5", "0.1", "-2.5", "1e2", "10.25", "0.01", "1e-2",
		"12345678901234567890", "1234567890123456789012345.5", "1e30", "100000000000000000000e-20", "9223372036854775807", "1e-30",
	}
	generatedTexts = []string{
		`""`, `"a"`, `"ab"`, `"abc"`, `"öl"`, `"2026-01-31T12:00:00Z"`, `"2026-02-31"`, `"P1Y"`, `"a{1}"`, `"("`, `"http://x/y"`, `"x@y.z"`,
	}
)

// value makes a JSON value.
func (g *generator) value(depth int) string {
	if depth == 0 {
		return g.scalar()
	}
	switch g.below(4) {
	case 0:
		text := "["
		for i := range g.below(5) {
			if i > 0 {
				text += ","
			}
			text += g.value(depth - 1)
		}
		return text + "]"
	case 1, 2:
		text := "{"
		for i, name := range generatedNames {
			if g.below(2) == 0 {
				continue
			}
			if len(text) > 1 {
				text += ","
			}
			text += fmt.Sprintf("%q:%s", name, g.value(depth-1-i%2*(depth-1)))
		}
		return text + "}"
	}
	return g.scalar()
}

func (g *generator) scalar() string {
	switch g.below(6) {
	case 0:
		return pick(g, "null", "true", "false")
	case 1, 2, 3:
		return pick(g, generatedNumbers...)
	}
	return pick(g, generatedTexts...)
}

// root makes a whole schema of some draft.
func (g *generator) root() string {
	g.draft, g.left = pick(g, "2020-12", "7", "2019-09", "4", "6"), 40
	s := g.object(3)
	s["$schema"] = dialectURLs[g.draft]
	defs := map[string]any{"x": g.schema(2), "y": g.schema(2)}
	s["definitions"] = defs
	switch g.draft {
	case "2020-12":
		if g.below(2) == 0 {
			s["$dynamicAnchor"] = "node"
			defs["z"] = map[string]any{"$id": "z", "$dynamicAnchor": "node", "properties": map[string]any{"a": map[string]any{"$dynamicRef": "#node"}}}
		}
	case "2019-09":
		s["$recursiveAnchor"] = g.below(2) == 0
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (g *generator) schema(depth int) any {
	g.left--
	if depth == 0 || g.left < 0 {
		return map[string]any{"type": pick(g, "string", "integer", "number", "object", "array", "null", "boolean")}
	}
	if choice := g.below(10); choice < 2 && g.draft != "4" {
		return choice == 0
	}
	return g.object(depth)
}

func (g *generator) list(depth int) []any {
	list := []any{g.schema(depth)}
	for range g.below(3) {
		list = append(list, g.schema(depth))
	}
	return list
}

func (g *generator) named(depth int, names ...string) map[string]any {
	named := map[string]any{}
	for range 1 + g.below(3) {
		named[pick(g, names...)] = g.schema(depth)
	}
	return named
}

func (g *generator) number() json.Number { return json.Number(pick(g, generatedNumbers...)) }
func (g *generator) raw(depth int) any   { return json.RawMessage(g.value(depth)) }

// object makes a schema of up to four keywords.
func (g *generator) object(depth int) map[string]any {
	s := map[string]any{}
	for range 1 + g.below(4) {
		g.keyword(s, depth-1)
	}
	return s
}

func (g *generator) keyword(s map[string]any, depth int) {
	old, before2019 := g.draft == "4", g.draft == "4" || g.draft == "6" || g.draft == "7"
	choices := []func(){
		func() { s["type"] = pick(g, "string", "integer", "number", "object", "array") },
		func() { s["type"] = []string{pick(g, "string", "integer"), pick(g, "object", "array", "null")} },
		func() { s["enum"] = []any{g.raw(0), g.raw(1), g.raw(0)} },
		func() { s["minimum"] = g.number() },
		func() { s["maximum"] = g.number() },
		func() {
			s["multipleOf"] = json.Number(pick(g, "1", "2", "0.01", "0.1", "10.25", "1e2", "1e-30", "12345678901234567890"))
		},
		func() { s["minLength"] = g.below(3) },
		func() { s["maxLength"] = g.below(3) },
		func() { s["pattern"] = pick(g, "^a", "b$", "^[a-z]{2}$", "") },
		func() {
			s["format"] = pick(g, "date-time", "date", "regex", "duration", "uri", "email", "uuid", "unknown")
		},
		func() { s["required"] = []string{pick(g, generatedNames...)} },
		func() { s["minProperties"] = g.below(3) },
		func() { s["maxProperties"] = g.below(4) },
		func() { s["minItems"] = g.below(3) },
		func() { s["maxItems"] = g.below(4) },
		func() { s["uniqueItems"] = g.below(2) == 0 },
		func() { s["properties"] = g.named(depth, generatedNames...) },
		func() { s["properties"] = g.named(depth, generatedNames...) },
		func() { s["patternProperties"] = g.named(depth, "^a", "b", "c$") },
		func() { s["additionalProperties"] = g.schemaOrBool(depth) },
		func() { s["allOf"] = g.list(depth) },
		func() { s["anyOf"] = g.list(depth) },
		func() { s["oneOf"] = g.list(depth) },
		func() { s["not"] = g.schema(depth) },
		func() { s["$ref"] = pick(g, "#/definitions/x", "#/definitions/y", "#") },
		func() { g.items(s, depth) },
		func() { g.items(s, depth) },
		func() {
			if before2019 {
				s["dependencies"] = map[string]any{pick(g, generatedNames...): g.schema(depth), "c": []string{"a"}}
				return
			}
			s["dependentRequired"] = map[string]any{pick(g, generatedNames...): []string{pick(g, generatedNames...)}}
			s["dependentSchemas"] = g.named(depth, generatedNames...)
		},
		func() {
			if old {
				s["minimum"], s["exclusiveMinimum"] = g.number(), true
				return
			}
			s["exclusiveMinimum"] = g.number()
			s["exclusiveMaximum"] = g.number()
		},
	}
	if !old {
		choices = append(choices,
			func() { s["const"] = g.raw(1) },
			func() { s["contains"] = g.schema(depth) },
			func() { s["propertyNames"] = g.schema(depth) },
		)
	}
	if !old && g.draft != "6" {
		choices = append(choices, func() { s["if"], s["then"], s["else"] = g.schema(depth), g.schema(depth), g.schema(depth) })
	}
	if !before2019 {
		choices = append(choices,
			func() { s["contains"], s["minContains"], s["maxContains"] = g.schema(depth), g.below(3), g.below(3) },
			func() { s["unevaluatedProperties"] = g.schemaOrBool(depth) },
			func() { s["unevaluatedProperties"] = false },
			func() { s["unevaluatedItems"] = g.schemaOrBool(depth) },
			func() {
				if g.draft == "2019-09" {
					s["$recursiveRef"] = "#"
				} else {
					s["$dynamicRef"] = "#node"
				}
			},
		)
	}
	pick(g, choices...)()
}

func (g *generator) schemaOrBool(depth int) any {
	if g.below(2) == 0 {
		return g.below(3) == 0
	}
	return g.schema(depth)
}

func (g *generator) items(s map[string]any, depth int) {
	switch {
	case g.below(2) == 0:
		s["items"] = g.schema(depth)
	case g.draft == "2020-12":
		s["prefixItems"] = g.list(depth)
	default:
		s["items"] = g.list(depth)
		s["additionalItems"] = g.schemaOrBool(depth)
	}
}

// compare holds a generated schema, if it compiles, together with generated data.
func (g *generator) compare(tb testing.TB) (compiled, valid bool) {
	tb.Helper()
	text := g.root()
	c := newTestCompiler(tb, text)
	s, err := c.Compile("test.json")
	if err != nil {
		return false, false
	}
	a, err := newAcceptor(s, c.format)
	if err != nil {
		require.ErrorIs(tb, err, errSelf, text)
		return false, false
	}
	for range 6 {
		_, ok := holdsTogether(tb, text, s, a, []byte(g.value(3)))
		valid = valid || ok
	}
	return true, valid
}

func randomChoices(seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	choices := make([]byte, 600)
	for i := range choices {
		choices[i] = byte(random.UintN(256))
	}
	return choices
}

// Whatever the keywords, eval and explain say what the library says about the whole.
func TestGeneratedSchemas(t *testing.T) {
	t.Parallel()
	var compiled, valid int
	for seed := range uint64(4_000) {
		g := generator{choices: randomChoices(seed)}
		ok, accepted := g.compare(t)
		if ok {
			compiled++
		}
		if accepted {
			valid++
		}
	}
	require.Greater(t, compiled, 2_000, "most generated schemas should compile")
	require.Greater(t, valid, compiled/4, "many should accept something")
}

func FuzzGeneratedSchemas(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(randomChoices(seed))
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		g := generator{choices: choices}
		g.compare(t)
	})
}
