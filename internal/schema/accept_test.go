package schema

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// acceptorSchemas use every keyword that acceptors know, and the drafts in which
// they differ.
var acceptorSchemas = []string{
	`true`,
	`{"type":"string","minLength":2,"maxLength":4}`,
	`{"type":"string","pattern":"^[a-z]+$"}`,
	`{"format":"date-time"}`,
	`{"format":"no-such-format","type":["string","null"]}`,
	`{"enum":["a","b","öl"]}`,
	`{"type":"integer"}`,
	`{"$schema":"http://json-schema.org/draft-04/schema#","type":"integer","minimum":3,"exclusiveMinimum":true}`,
	`{"type":"number","minimum":-3,"maximum":10}`,
	`{"exclusiveMinimum":0,"exclusiveMaximum":100,"multipleOf":5}`,
	`{"type":["integer","boolean"]}`,
	`{"type":"object","required":["a"],"properties":{"a":{"type":"integer"},"b":{"type":"string"}},"additionalProperties":false}`,
	`{"properties":{"a":{"type":"null"}},"additionalProperties":{"type":"integer","maximum":7},"minProperties":1,"maxProperties":2}`,
	`{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3}`,
	`{"$schema":"http://json-schema.org/draft-07/schema#","items":{"enum":["a"]}}`,
	`{"allOf":[{"type":"object"},{"required":["a"]}]}`,
	`{"$defs":{"node":{"type":"object","properties":{"next":{"$ref":"#/$defs/node"}},"additionalProperties":false}},"$ref":"#/$defs/node"}`,
	`{"type":"object","properties":{"a":true,"b":false}}`,
	`{"oneOf":[{"type":"integer"},{"minimum":2}]}`,
	`{"anyOf":[{"type":"string"},{"type":"null"}]}`,
	`{"not":{"type":"string"}}`,
	`{"const":{"a":1}}`,
	`{"enum":[1,"a",null]}`,
	`{"uniqueItems":true}`,
	`{"prefixItems":[{"type":"integer"}],"items":false}`,
	`{"if":{"type":"integer"},"then":{"minimum":0},"else":{"type":"string"}}`,
	`{"patternProperties":{"^a":{"type":"integer"}},"additionalProperties":false}`,
	`{"minimum":0.1}`,
	`{"dependentRequired":{"a":["b"]}}`,
	`{"propertyNames":{"maxLength":1}}`,
	`{"unevaluatedProperties":false,"properties":{"a":true}}`,
	`{"contains":{"type":"integer"}}`,
	`{"$ref":"https://json-schema.org/draft/2020-12/schema"}`,
	`{"$ref":"http://json-schema.org/draft-07/schema#"}`,
	`{"$ref":"http://json-schema.org/draft-04/schema#"}`,
}

var acceptorData = []string{
	`null`, `true`, `false`, `""`, `"a"`, `"ab"`, `"abcd"`, `"abcde"`, `"AB"`, `"öl"`, `"日本"`, `"2026-01-31T12:00:00Z"`, `"2026-02-31T12:00:00Z"`,
	`0`, `-0`, `1`, `3`, `4`, `5`, `7`, `8`, `10`, `11`, `95`, `100`, `-3`, `-4`, `1.0`, `1.5`, `0.1`, `1e2`, `1e-2`, `10.0000000000000000001`,
	`999999999999999999`, `9223372036854775807`, `9223372036854775808`, `-9223372036854775808`, `123456789012345678901234567890`,
	`[]`, `[1]`, `["a"]`, `[1,2,3]`, `[1,2,3,4]`, `[1,1]`, `["a","b"]`, `[1,"a"]`, `[[]]`,
	`{}`, `{"a":1}`, `{"a":"x"}`, `{"a":null}`, `{"a":1,"b":"x"}`, `{"a":1,"b":2}`, `{"a":1,"b":"x","c":2}`, `{"b":"x"}`, `{"c":8}`, `{"ab":1}`,
	`{"next":{"next":{}}}`, `{"pattern":"(","patternProperties":{"(":true},"$id":"%"}`, `{"next":{"next":{"other":1}}}`, `{"next":1}`,
}

func compileForTest(tb testing.TB, schema string) (*jsonschema.Schema, *acceptor) {
	tb.Helper()
	c := newTestCompiler(tb, schema)
	s, err := c.Compile("test.json")
	require.NoError(tb, err, schema)
	a, err := newAcceptor(s, c.format)
	require.NoError(tb, err, schema)
	return s, a
}

func newTestCompiler(tb testing.TB, schema string) *compiler {
	tb.Helper()
	c, problems := newCompiler(nil)
	require.Empty(tb, problems)
	c.Draft = jsonschema.Draft2020
	require.NoError(tb, c.AddResource("test.json", strings.NewReader(schema)))
	return c
}

// holdsTogether fails unless eval and explain agree with what the library says about the
// whole: valid or not, and which violations. It reports whether the acceptor accepted, and
// whether the library did.
func holdsTogether(tb testing.TB, schema string, s *jsonschema.Schema, a *acceptor, data []byte) (fast, valid bool) {
	tb.Helper()
	doc, err := parse(data)
	if err != nil {
		return false, false
	}
	defer doc.Release()
	refused := s.Validate(doc.Root)
	valid = refused == nil
	r := newRun(len(data))
	said := r.eval(a, doc.Root)
	if said == ask {
		require.Negative(tb, r.left, "schema %s: undecided about %s", schema, data)
		return false, valid
	}
	require.Equal(tb, valid, said == yes, "schema %s: the acceptor and the library differ about %s: %v", schema, data, refused)
	if valid {
		invalid, done := r.explain(a, doc.Root, len(data))
		require.True(tb, done && invalid == nil)
		return true, true
	}
	var whole *jsonschema.ValidationError
	require.ErrorAs(tb, refused, &whole)
	want := flatten(whole, nil, nil, nil)
	invalid, done := r.explain(a, doc.Root, len(data))
	require.NotNil(tb, invalid, "schema %s: no error for %s, the library has %v", schema, data, want)
	if hasEmptyName(doc.Root) {
		return false, false // the library leaves such names out of its pointers
	}
	got := flatten(invalid, nil, nil, nil)
	if done && len(want) <= maxViolations {
		// Which comes first depends on where the errors are nested, and is tested elsewhere.
		require.ElementsMatch(tb, want, got, "schema %s: other violations of %s", schema, data)
	}
	for _, each := range got {
		require.Contains(tb, want, each)
	}
	return false, false
}

// hasEmptyName reports whether a member has the empty name, anywhere in a value.
func hasEmptyName(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for name, each := range v {
			if name == "" || hasEmptyName(each) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasEmptyName)
	}
	return false
}

// RFC 6901 §5: the member with the empty name is at "/".
func TestPointersToEmptyNames(t *testing.T) {
	t.Parallel()
	set := one(t, `{"x-event":{"key":null},"additionalProperties":{"additionalProperties":{"type":"integer"}}}`)
	_, err := set.Check("t", "", []byte(`{"":{"":"x","a":"y"}}`))
	require.Equal(t, []event.Violation{
		{Pointer: "//", Keyword: "type", Message: "expected integer, but got string"},
		{Pointer: "//a", Keyword: "type", Message: "expected integer, but got string"},
	}, refusal(t, err).Violations)
}

func TestAcceptorsSayWhatTheLibrarySays(t *testing.T) {
	t.Parallel()
	for _, schema := range acceptorSchemas {
		s, a := compileForTest(t, schema)
		for _, data := range acceptorData {
			holdsTogether(t, schema, s, a, []byte(data))
		}
	}
}

func TestSchemasThatApplyThemselvesWithoutEnd(t *testing.T) {
	t.Parallel()
	loop := only(&jsonschema.Schema{})
	other := loop
	other.Ref, loop.Ref = &loop, &other
	_, err := newAcceptor(&loop, func(string) func(any) bool { return nil })
	require.ErrorIs(t, err, errSelf)
}

// Acceptors read three fields of the library's that it does not export.
func TestTheLibraryHasTheFields(t *testing.T) {
	t.Parallel()
	fields := reflect.TypeFor[jsonschema.Schema]()
	for name, want := range map[string]reflect.Type{
		"dynamicAnchors": reflect.TypeFor[[]*jsonschema.Schema](), "dynamicRefAnchor": reflect.TypeFor[string](),
		"format": reflect.TypeFor[func(any) bool](),
	} {
		field, ok := fields.FieldByName(name)
		require.True(t, ok, name)
		require.Equal(t, want, field.Type, name)
	}
}

// The samples are what people try first and what the benchmark posts.
func TestAcceptorKnowsTheSampleOrder(t *testing.T) {
	t.Parallel()
	_, v, data := sample(t)
	doc, err := parse(data)
	require.NoError(t, err)
	defer doc.Release()
	r := newRun(len(data))
	require.Equal(t, yes, r.eval(v.accept, doc.Root))
}

func FuzzAcceptor(f *testing.F) {
	schemas := make([]*jsonschema.Schema, len(acceptorSchemas))
	acceptors := make([]*acceptor, len(acceptorSchemas))
	for i, text := range acceptorSchemas {
		schemas[i], acceptors[i] = compileForTest(f, text)
		for _, data := range acceptorData {
			f.Add(uint8(i), []byte(data))
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, data []byte) {
		n := int(i) % len(schemas)
		holdsTogether(t, acceptorSchemas[n], schemas[n], acceptors[n], data)
	})
}

func BenchmarkAccept(b *testing.B) {
	_, v, data := sample(b)
	doc, err := parse(data)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		r := newRun(len(data))
		if r.eval(v.accept, doc.Root) != yes {
			b.Fatal("not accepted")
		}
	}
}
