package schema

import (
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/stretchr/testify/require"
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
	// with keywords that acceptors leave to the library
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
}

var acceptorData = []string{
	`null`, `true`, `false`, `""`, `"a"`, `"ab"`, `"abcd"`, `"abcde"`, `"AB"`, `"öl"`, `"日本"`, `"2026-01-31T12:00:00Z"`, `"2026-02-31T12:00:00Z"`,
	`0`, `-0`, `1`, `3`, `4`, `5`, `7`, `8`, `10`, `11`, `95`, `100`, `-3`, `-4`, `1.0`, `1.5`, `0.1`, `1e2`, `1e-2`, `10.0000000000000000001`,
	`999999999999999999`, `9223372036854775807`, `9223372036854775808`, `-9223372036854775808`, `123456789012345678901234567890`,
	`[]`, `[1]`, `["a"]`, `[1,2,3]`, `[1,2,3,4]`, `[1,1]`, `["a","b"]`, `[1,"a"]`, `[[]]`,
	`{}`, `{"a":1}`, `{"a":"x"}`, `{"a":null}`, `{"a":1,"b":"x"}`, `{"a":1,"b":2}`, `{"a":1,"b":"x","c":2}`, `{"b":"x"}`, `{"c":8}`, `{"ab":1}`,
	`{"next":{"next":{}}}`, `{"next":{"next":{"other":1}}}`, `{"next":1}`,
}

func compileForTest(tb testing.TB, schema string) *jsonschema.Schema {
	tb.Helper()
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	c.AssertFormat = true
	require.NoError(tb, c.AddResource("test.json", strings.NewReader(schema)))
	s, err := c.Compile("test.json")
	require.NoError(tb, err, schema)
	return s
}

// holdsTogether fails if the acceptor accepts data that the library refuses. It reports
// whether the acceptor accepted, and whether the library did.
func holdsTogether(tb testing.TB, schema string, s *jsonschema.Schema, a *acceptor, data []byte) (fast, valid bool) {
	tb.Helper()
	doc, err := parse(data)
	if err != nil {
		return false, false
	}
	defer doc.Release()
	valid = s.Validate(doc.Root) == nil
	fast = a != nil && a.accepts(doc.Root)
	require.False(tb, fast && !valid, "schema %s: the acceptor accepts %s, the library does not", schema, data)
	return fast, valid
}

func TestAcceptorNeverAcceptsWhatTheLibraryRefuses(t *testing.T) {
	t.Parallel()
	var accepted, valid int
	for _, schema := range acceptorSchemas {
		s := compileForTest(t, schema)
		a := newAcceptor(s)
		for _, data := range acceptorData {
			fast, ok := holdsTogether(t, schema, s, a, []byte(data))
			if a == nil {
				continue
			}
			if fast {
				accepted++
			}
			if ok {
				valid++
			}
		}
	}
	require.Greater(t, accepted*10, valid*8, "acceptors should recognise most valid data, not %d of %d", accepted, valid)
}

func TestAcceptorLeavesOtherKeywordsToTheLibrary(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{
		`{"oneOf":[{"type":"integer"}]}`, `{"properties":{"a":{"not":{}}}}`, `{"items":{"uniqueItems":true}}`,
		`{"additionalProperties":{"const":1}}`, `{"minimum":0.5}`, `{"enum":[1]}`, `false`,
	} {
		require.Nil(t, newAcceptor(compileForTest(t, schema)), schema)
	}
}

func TestAcceptorLeavesReferenceLoopsToTheLibrary(t *testing.T) {
	t.Parallel()
	loop := &jsonschema.Schema{MinLength: -1, MaxLength: -1, MinItems: -1, MaxItems: -1, MinProperties: -1, MaxProperties: -1}
	other := *loop
	other.Ref, loop.Ref = loop, &other
	require.Nil(t, newAcceptor(loop))
}

// The samples are what people try first and what the benchmark posts.
func TestAcceptorKnowsTheSampleOrder(t *testing.T) {
	t.Parallel()
	_, v, data := sample(t)
	doc, err := parse(data)
	require.NoError(t, err)
	defer doc.Release()
	require.NotNil(t, v.fast)
	require.True(t, v.fast.accepts(doc.Root))
}

func FuzzAcceptor(f *testing.F) {
	schemas := make([]*jsonschema.Schema, len(acceptorSchemas))
	acceptors := make([]*acceptor, len(acceptorSchemas))
	for i, text := range acceptorSchemas {
		schemas[i] = compileForTest(f, text)
		acceptors[i] = newAcceptor(schemas[i])
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
		if !v.fast.accepts(doc.Root) {
			b.Fatal("not accepted")
		}
	}
}
