package schema

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// defaultLimit is http.body_limit's default.
const defaultLimit = 900 << 10

// filled is first, then as many of next(i) as fit into the body limit, then last.
func filled(first string, next func(i int) string, last string) string {
	return filledTo(defaultLimit, first, next, last)
}

func filledTo(limit int, first string, next func(i int) string, last string) string {
	var b strings.Builder
	b.WriteString(first)
	for i := 0; ; i++ {
		more := next(i)
		if i > 0 {
			more = "," + more
		}
		if b.Len()+len(more)+len(last) > limit {
			return b.String() + last
		}
		b.WriteString(more)
	}
}

// items is an array of so many items as fit.
func items(next func(i int) string) string { return filled("[", next, "]") }

// half is an array of half the limit.
func half(next func(i int) string) string { return filledTo(defaultLimit/2-10, "[", next, "]") }

func same(text string) func(int) string    { return func(int) string { return text } }
func counted(form string) func(int) string { return func(i int) string { return fmt.Sprintf(form, i) } }

// objectOfMany is an object of so many members as fit.
func objectOfMany(next func(i int) string) string { return filled("{", next, "}") }

// aLongText is a string of the body limit.
func aLongText(of string) string { return `"` + strings.Repeat(of, (defaultLimit-2)/len(of)) + `"` }

// signs is a list of 1 and -1, another one for each i: to jsonschema v5's hash all
// are equal.
func signs(i int) string {
	parts := make([]string, 20)
	for bit := range parts {
		parts[bit] = []string{"1", "-1"}[i>>bit&1]
	}
	return "[" + strings.Join(parts, ",") + "]"
}

func listOf(n int, each func(i int) string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = each(i)
	}
	return strings.Join(parts, ",")
}

// inside is an object within an object, and so on, of so many levels.
func inside(levels int) string { return children(levels, "{}") }

func children(levels int, core string) string {
	return strings.Repeat(`{"child":`, levels) + core + strings.Repeat("}", levels)
}

// doubling is a chain of "allOf" of twos that ends in an integer.
func doubling(length int) string {
	var b strings.Builder
	for i := range length {
		fmt.Fprintf(&b, `"a%d":{"allOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]},`, i, i+1, i+1)
	}
	return fmt.Sprintf(`"$ref":"#/$defs/a0","$defs":{%s"a%d":{"type":"integer"}}`, b.String(), length)
}

const (
	variants  = `"oneOf":[{"properties":{"child":{"$ref":"#"}}},{"required":["op"],"properties":{"child":{"$ref":"#"}}}]`
	bothAllOf = `"allOf":[{"properties":{"child":{"$ref":"#"}}},{"properties":{"child":{"$ref":"#"}}}]`
	anyDeep   = `"anyOf":[{"type":"string"},{"required":["op"],"properties":{"child":{"$ref":"#"}}},{"maxProperties":0,"properties":{"child":{"$ref":"#"}}}]`
	dynamic   = `"$dynamicAnchor":"node","allOf":[{"properties":{"child":{"$dynamicRef":"#node"}}},{"properties":{"child":{"$dynamicRef":"#node"}}}]`
	treeDeep  = `"uniqueItems":true,"items":{"$ref":"#"},"additionalProperties":{"$ref":"#"}`
)

// hostile is data that make a keyword expensive. The keyword's schema is the root's.
type hostile struct{ keyword, schema, data string }

// worstCases has at least one case for each keyword and format.
func worstCases() map[string]hostile {
	cases := map[string]hostile{
		"lists of 1 and -1":              {"uniqueItems", `"uniqueItems":true`, items(signs)},
		"lists of 1 and -1 as tags":      {"uniqueItems", `"uniqueItems":true,"items":{"type":"string","maxLength":50}`, items(signs)},
		"unique strings":                 {"uniqueItems", `"uniqueItems":true,"items":{"type":"string"}`, items(counted(`"%d"`))},
		"unique numbers":                 {"uniqueItems", `"uniqueItems":true`, items(counted(`%d`))},
		"unique objects":                 {"uniqueItems", `"uniqueItems":true`, items(counted(`{"a":%d,"b":[1]}`))},
		"unique huge numbers":            {"uniqueItems", `"uniqueItems":true`, items(func(i int) string { return fmt.Sprintf("%d%s", i+1, strings.Repeat("7", 900)) })},
		"unique at every level":          {"uniqueItems", treeDeep, filled(strings.Repeat("[", 60), counted(`%d`), strings.Repeat("]", 60))},
		"twice the same, huge":           {"uniqueItems", `"uniqueItems":true`, "[" + half(same("1")) + "," + half(same("1")) + "]"},
		"numbers and an enum of numbers": {"enum", `"items":{"enum":[` + listOf(2000, counted("%d.5")) + `]}`, items(counted("%d"))},
		"an enum of long numbers":        {"enum", `"items":{"enum":[` + listOf(300, counted("1%d"+strings.Repeat("3", 900))) + `]}`, items(same(strings.Repeat("3", 999)))},
		"an enum of objects":             {"enum", `"items":{"enum":[` + listOf(500, counted(`{"a":{"b":%d}}`)) + `]}`, items(same(`{"a":{"b":-1}}`))},
		"many enums and a long text":     {"enum", `"anyOf":[` + listOf(5000, counted(`{"enum":["%d"]}`)) + `]`, aLongText("a")},
		"many objects of one long name":  {"properties", `"allOf":[` + listOf(5000, counted(`{"properties":{"p%d":true,"q":{"type":"null"}}}`)) + `]`, `{"` + strings.Repeat("n", defaultLimit-10) + `":1}`},
		"a pattern and tiny texts":       {"pattern", `"items":{"pattern":"(a|b|ab)*c$|^a"}`, items(same(`"a"`))},
		"an enum of texts":               {"enum", `"items":{"enum":[` + listOf(5000, counted(`"t%d"`)) + `]}`, items(same(`"t"`))},
		"a const of an object":           {"const", `"items":{"const":{` + listOf(200, counted(`"m%d":1`)) + `}}`, items(same(`{` + listOf(200, counted(`"m%d":1`)) + `}`))},
		"nothing contained":              {"contains", `"contains":{"type":"string"}`, items(same("1"))},
		"contained too often":            {"contains", `"contains":{"multipleOf":0.3},"maxContains":2`, items(same("3"))},
		"names that are too long":        {"propertyNames", `"propertyNames":{"maxLength":0}`, objectOfMany(counted(`"%d":1`))},
		"names with a heavy pattern":     {"propertyNames", `"propertyNames":{"pattern":"(a|b|c|d|[a-z]){1,100}x$"}`, objectOfMany(counted(`"aaaaaaaaaaaaaaaaaaaaaaa%d":1`))},
		"many patterns of names":         {"patternProperties", `"patternProperties":{` + listOf(100, counted(`"%d[a-z]*x$":{"type":"string"}`)) + `}`, objectOfMany(counted(`"%d":1`))},
		"unknown names":                  {"additionalProperties", `"additionalProperties":false`, objectOfMany(counted(`"%d":1`))},
		"one long unknown name":          {"additionalProperties", `"additionalProperties":false`, `{"` + strings.Repeat("é", defaultLimit/2-5) + `":1}`},
		"all of the wrong type":          {"items", `"items":{"type":"string"}`, items(same("1"))},
		"all wrong in many ways":         {"items", `"items":{"allOf":[` + listOf(50, same(`{"type":"string"},{"minimum":5}`)) + `]}`, items(same("1"))},
		"long tuples":                    {"prefixItems", `"prefixItems":[` + listOf(3000, same(`{"type":"string"}`)) + `]`, items(same("1"))},
		"longer than a tuple":            {"additionalItems", `"$schema":"http://json-schema.org/draft-07/schema#","items":[` + listOf(3000, same(`true`)) + `],"additionalItems":false`, items(same("1"))},
		"tiny multiples":                 {"multipleOf", `"items":{"multipleOf":1e-400}`, items(same("1e400"))},
		"long multiples":                 {"multipleOf", `"items":{"multipleOf":1.` + strings.Repeat("3", 900) + `}`, items(same(strings.Repeat("9", 21)))},
		"longest multiples":              {"multipleOf", `"items":{"multipleOf":1.` + strings.Repeat("3", 900) + `}`, items(same(strings.Repeat("9", 990) + "e400"))},
		"bounds of long numbers":         {"minimum", `"items":{"minimum":1` + strings.Repeat("0", 990) + `,"maximum":2e400}`, items(same(strings.Repeat("9", 990)))},
		"bounds of huge numbers":         {"maximum", `"items":{"maximum":1e399}`, items(same("1e400"))},
		"integers with exponents":        {"type", `"items":{"type":"integer"}`, items(same("1e400"))},
		"long texts and lengths":         {"maxLength", `"allOf":[` + listOf(200, counted(`{"minLength":%d}`)) + `]`, aLongText("é")},
		"one anyOf for each item":        {"anyOf", `"items":{"anyOf":[` + listOf(60, counted(`{"multipleOf":%d.7}`)) + `]}`, items(same("1"))},
		"one oneOf for each item":        {"oneOf", `"items":{"oneOf":[` + listOf(60, same(`{"type":"integer"}`)) + `]}`, items(same("1"))},
		"not, for each item":             {"not", `"items":{"not":{"anyOf":[` + listOf(60, counted(`{"const":%d.7}`)) + `,true]}}`, items(same("1"))},
		"if, for each item":              {"if", `"items":{"if":{"minimum":0},"then":{"type":"string"},"else":{"type":"object"}}`, items(same("1"))},
		"an object, checked many times":  {"allOf", `"allOf":[` + listOf(200, counted(`{"required":["n%d"],"minProperties":3}`)) + `]`, objectOfMany(counted(`"%d":1`))},
		"all members, many times":        {"allOf", `"allOf":[` + listOf(200, same(`{"additionalProperties":{"type":"number"}}`)) + `]`, objectOfMany(counted(`"%d":1`))},
		"many dependencies":              {"dependentRequired", `"dependentRequired":{` + listOf(3000, counted(`"%d":["x","y"]`)) + `}`, objectOfMany(counted(`"%d":1`))},
		"many dependent schemas":         {"dependentSchemas", `"dependentSchemas":{` + listOf(300, counted(`"%d":{"additionalProperties":{"type":"number"}}`)) + `}`, objectOfMany(counted(`"%d":1`))},
		"much that is required":          {"required", `"items":{"required":[` + listOf(2000, counted(`"r%d"`)) + `]}`, items(same("{}"))},
		"unevaluated members": {
			"unevaluatedProperties", `"anyOf":[` + listOf(60, counted(`{"properties":{"p%d":true}}`)) + `],"unevaluatedProperties":false`, objectOfMany(counted(`"%d":1`)),
		},
		"unevaluated items": {
			"unevaluatedItems", `"anyOf":[` + listOf(30, counted(`{"contains":{"const":%d}}`)) + `],"unevaluatedItems":{"type":"string"}`, items(counted("%d")),
		},
		"variants, deep":          {"oneOf", variants, inside(60)},
		"variants, deep, wrong":   {"oneOf", variants, children(60, "1")},
		"no variant, deep":        {"anyOf", anyDeep, children(60, "1")},
		"variants, deep and wide": {"oneOf", `"oneOf":[{"additionalProperties":{"$ref":"#"}},{"required":["op"],"additionalProperties":{"$ref":"#"}}]`, items(same("{}"))},
		"allOf, deep":             {"allOf", bothAllOf, children(60, "1")},
		"$dynamicRef, deep":       {"$dynamicRef", dynamic, children(60, "1")},
		"twos without end":        {"$ref", doubling(40), "1"},
		"twos, of an object":      {"$ref", strings.Replace(doubling(40), `"type":"integer"`, `"minProperties":0`, 1), "{}"},
		"a metaschema":            {"$ref", `"$ref":"https://json-schema.org/draft/2020-12/schema"`, filled(`{"properties":{`, counted(`"%d":{"type":1}`), "}}")},
		"long names, all wrong":   {"pointers", `"additionalProperties":{"additionalProperties":{"type":"string"}}`, filledTo(100_000, `{"`+strings.Repeat("%", 500)+`":{`, counted(`"%d":1`), "}}")},
		"a long const":            {"const", `"items":{"const":"` + strings.Repeat("x", 200_000) + `"}`, items(same(`"t"`))},
		"numbers in a const":      {"const", `"items":{"const":[` + listOf(3000, same("1e300")) + `,2]}`, items(same(`[` + listOf(3000, same("1e300")) + `,3]`))},
		"a const like the data":   {"const", `"const":[` + listOf(100_000, same("1e400")) + `,2]`, `[` + listOf(100_000, same("1e400")) + `,3]`},
		"a long required name":    {"required", `"items":{"required":["` + strings.Repeat("x", 200_000) + `"]}`, items(same(`{}`))},
		"a long dependency":       {"dependentRequired", `"items":{"dependentRequired":{"a":["` + strings.Repeat("x", 200_000) + `"]}}`, items(same(`{"a":1}`))},
		"a long pattern":          {"pattern", `"items":{"pattern":"^[` + strings.Repeat("x", 200_000) + `]$"}`, items(same(`"t"`))},
		"a long name of a schema": {"$ref", `"$defs":{"` + strings.Repeat("x", 200_000) + `":{"anyOf":[{"type":"string"},{"type":"null"}]}},"items":{"$ref":"#/$defs/` + strings.Repeat("x", 200_000) + `"}`, items(same(`1`))},
		"names to be escaped":     {"pointers", `"additionalProperties":{"type":"string"}`, objectOfMany(counted(`"~/%%%d":1`))},
		"an order with 40,000 items that are wrong": {
			"items", `"properties":{"lines":{"items":{"type":"object","required":["sku"],"properties":{"q":{"minimum":1},"p":{"type":"string","pattern":"^[A-Z]{3}$"}}}}}`,
			filled(`{"lines":[`, same(`{"q":0,"p":"x"}`), "]}"),
		},
	}
	for _, p := range []string{
		`(x+x+)+y`, `^(a?){50}a{50}$`, `[a-x]{1,500}y`, `(.*a){30}$`, `(a|b|ab)*c$`, `^[a-z]*$`, `(a.{0,900}){1}b`, `^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$`,
		`(?i)[\\pL\\pN]+$`, `\\b(a|aa|aaa)+\\b!`,
	} {
		for _, of := range []string{"a", "ax", "é", "xa a"} {
			cases[fmt.Sprintf("pattern %s at %q", p, of)] = hostile{"pattern", `"pattern":"` + p + `"`, aLongText(of)}
		}
		cases["pattern "+p+" at short texts"] = hostile{"pattern", `"items":{"pattern":"` + p + `"}`, items(same(`"aaaaaxaa"`))}
	}
	for name, texts := range map[string][]string{
		"date-time": {"2026-01-31T12:00:00.", "0"}, "date": {"2026"}, "time": {"12:00:00.0"}, "duration": {"P", "1Y", "P1Y"}, "period": {"P1Y", "/P"},
		"hostname": {"a.", "a"}, "email": {"a@", "a"}, "ipv4": {"1.", "1"}, "ipv6": {"1:", "::"}, "uri": {"http://a/", "%41", "a"}, "iri": {"http://é/"},
		"uri-reference": {"%41/", "a"}, "uri-template": {"{a}", "{"}, "json-pointer": {"/~0", "/"}, "relative-json-pointer": {"1", "0/"}, "uuid": {"0"},
		"regex": {"(", "a", "(a{1000})", "(?:", `\\pL`, `[\\pL`, `[[:word:]`, "(?i)k", "(?i)[a-z]", "a|", "[^a]", "x*y+", "(?P<a>b)", "((a{10}){10}){10}"},
	} {
		for _, of := range texts {
			cases["format "+name+" at "+of] = hostile{"format", `"format":"` + name + `"`, aLongText(of)}
			cases["format "+name+" at many "+of] = hostile{"format", `"items":{"format":"` + name + `"}`, items(same(`"` + strings.Repeat(of, 20) + `"`))}
		}
	}
	return cases
}

// threadCPU is what the thread has used so far.
func threadCPU(t *testing.T) time.Duration {
	t.Helper()
	const thisThread = 1 // RUSAGE_THREAD
	var used syscall.Rusage
	require.NoError(t, syscall.Getrusage(thisThread, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// No event of the default body limit, however hostile, takes 200 ms of one core, its parse
// included.
func TestWorstCases(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	type result struct {
		took time.Duration
		name string
	}
	worst := map[string]result{}
	for name, c := range worstCases() {
		require.LessOrEqual(t, len(c.data), defaultLimit, name)
		set := one(t, `{"x-event":{"key":null},`+c.schema+`}`)
		took, err := cpuOfCheck(t, set, []byte(c.data))
		kind := "valid"
		if err != nil {
			kind = refusal(t, err).Detail
			require.Equal(t, event.SchemaViolation, refusal(t, err).Kind, name)
		}
		if took > worst[c.keyword].took {
			worst[c.keyword] = result{took, name + ": " + kind}
		}
		require.Less(t, took, workLimit, name)
	}
	for _, keyword := range sortedKeys(worst) {
		t.Logf("%-22s %5.1f ms  %.120s", keyword, float64(worst[keyword].took.Microseconds())/1000, worst[keyword].name)
	}
}

// workLimit is what no event of the default body limit may take, of one core.
const workLimit = 200 * time.Millisecond * slowdown

// cpuOfCheck is the best of three: other work on the machine only adds.
func cpuOfCheck(t *testing.T, set *Set, data []byte) (best time.Duration, err error) {
	t.Helper()
	best = time.Hour
	for range 3 {
		start := threadCPU(t)
		_, err = set.Check("t", "", data)
		if best = min(best, threadCPU(t)-start); best < workLimit/4 {
			break
		}
	}
	return best, err
}

// The same with schemas and data that a fuzzer steers.
func FuzzWork(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(randomChoices(seed), uint8(seed), uint8(seed/5))
	}
	f.Fuzz(func(t *testing.T, choices []byte, many, deep uint8) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		g := generator{choices: choices}
		text := strings.Replace(g.root(), "{", `{"x-event":{"key":null},`, 1)
		set, err := files{"t/v1.json": text}.load(t)
		if err != nil {
			return
		}
		depth := int(deep) % 60
		opening, closing := strings.Repeat(pick(&g, `{"a":`, `[`), depth), ""
		for i := len(opening) - 1; i >= 0; i-- {
			closing += map[byte]string{'{': "}", '[': "]"}[opening[i]]
		}
		parts := []string{g.value(3), g.value(2), g.value(1)}
		limit := 1_000 << (many % 10)
		data := filledTo(limit, opening+"[", func(i int) string { return parts[i%len(parts)] }, "]"+closing)
		took, _ := cpuOfCheck(t, set, []byte(data))
		require.Less(t, took, workLimit, "schema %s, %d bytes of %v, %d deep", text, len(data), parts, depth)
	})
}
