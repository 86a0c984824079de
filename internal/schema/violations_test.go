package schema

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestViolations(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		schema, data string
		want         [][3]string // pointer, keyword, message
	}{
		"type":      {`"type":["string","null"]`, `1`, [][3]string{{"", "type", "expected string or null, but got number"}}},
		"required":  {`"required":["b","a"]`, `{}`, [][3]string{{"", "required", "lacks the required properties: 'b', 'a'"}}},
		"minimum":   {`"properties":{"n":{"minimum":1000000}}`, `{"n":0}`, [][3]string{{"/n", "minimum", "must be at least 1000000, but is 0"}}},
		"maximum":   {`"maximum":12345678901234567890`, `12345678901234567891`, [][3]string{{"", "maximum", "must be at most 12345678901234567890, but is 12345678901234567891"}}},
		"exclusive": {`"exclusiveMinimum":0`, `0.0`, [][3]string{{"", "exclusiveMinimum", "must be more than 0, but is 0.0"}}},
		"below":     {`"exclusiveMaximum":1`, `1`, [][3]string{{"", "exclusiveMaximum", "must be less than 1, but is 1"}}},
		"multiple":  {`"multipleOf":0.01`, `1.005`, [][3]string{{"", "multipleOf", "must be a multiple of 0.01, but is 1.005"}}},
		"draft 4 exclusive": {
			`"$schema":"http://json-schema.org/draft-04/schema#","minimum":1,"exclusiveMinimum":true`, `1`,
			[][3]string{{"", "exclusiveMinimum", "must be > 1 but found 1"}},
		},
		"length":     {`"minLength":2`, `"é"`, [][3]string{{"", "minLength", "length must be >= 2, but got 1"}}},
		"pattern":    {`"pattern":"^a+$"`, `"b"`, [][3]string{{"", "pattern", "does not match pattern '^a+$'"}}},
		"format":     {`"format":"date-time"`, `"today"`, [][3]string{{"", "format", "'today' is not valid 'date-time'"}}},
		"enum":       {`"enum":["a",1,null]`, `"b"`, [][3]string{{"", "enum", `must be one of "a", 1, null`}}},
		"enum of 1":  {`"enum":[1]`, `2`, [][3]string{{"", "enum", "must be 1"}}},
		"const":      {`"const":{"a":"<"}`, `2`, [][3]string{{"", "const", `must be {"a":"<"}`}}},
		"not":        {`"not":{"type":"string"}`, `"x"`, [][3]string{{"", "not", "matches the schema under not, and must not"}}},
		"false":      {`"properties":{"required":false}`, `{"required":1}`, [][3]string{{"/required", "properties", "is not allowed here"}}},
		"unevaluate": {`"unevaluatedProperties":false`, `{"a":1}`, [][3]string{{"/a", "unevaluatedProperties", "is not allowed here"}}},
		"additional": {
			`"properties":{"a":true},"additionalProperties":false`, `{"a":1,"z":1,"it's \"x\\\", 'y":1,"b/~":1}`,
			[][3]string{
				{"/b~1~0", "additionalProperties", "is not a property that the schema knows"},
				{"/it's \"x\\\", 'y", "additionalProperties", "is not a property that the schema knows"},
				{"/z", "additionalProperties", "is not a property that the schema knows"},
			},
		},
		"additional schema": {`"additionalProperties":{"type":"string"}`, `{"a":1}`, [][3]string{{"/a", "type", "expected string, but got number"}}},
		"property named like a keyword": {
			`"properties":{"minimum":{"type":"object","properties":{"allOf":{"type":"string"}}}}`, `{"minimum":{"allOf":1}}`,
			[][3]string{{"/minimum/allOf", "type", "expected string, but got number"}},
		},
		"pointer": {
			`"properties":{"a/b ~%é":{"items":{"type":"string"}}}`, `{"a/b ~%é":["x",1]}`,
			[][3]string{{"/a~1b ~0%é/1", "type", "expected string, but got number"}},
		},
		"indexes in order": {
			`"items":{"type":"string"}`, `["","","","","","","","","",1,1]`,
			[][3]string{{"/9", "type", "expected string, but got number"}, {"/10", "type", "expected string, but got number"}},
		},
		"dependent": {
			`"dependentRequired":{"a":["b"]}`, `{"a":1}`,
			[][3]string{{"", "dependentRequired", "property 'b' is required, if 'a' property exists"}},
		},
		"one of none": {
			`"oneOf":[{"type":"string"},{"type":"object","required":["a"]}]`, `{}`,
			[][3]string{
				{"", "required", "lacks the required properties: 'a'"},
				{"", "oneOf", "matches none of the schemas under oneOf; exactly one must match"},
				{"", "type", "expected string, but got object"},
			},
		},
		"one of two": {
			`"oneOf":[{"type":"string"},{"minLength":1}]`, `"x"`,
			[][3]string{{"", "oneOf", "is valid against schemas at indexes 0 and 1 under oneOf; exactly one must match"}},
		},
		"any of": {
			`"anyOf":[{"type":"string"},{"$ref":"#/$defs/n"}],"$defs":{"n":{"minimum":5}}`, `1`,
			[][3]string{
				{"", "minimum", "must be at least 5, but is 1"},
				{"", "anyOf", "matches none of the schemas under anyOf"},
				{"", "type", "expected string, but got number"},
			},
		},
		"all of, if, ref": {
			`"allOf":[{"required":["a"]}],"if":{"required":["b"]},"then":{"required":["c"]},"else":{"$ref":"#/$defs/d"},"$defs":{"d":{"required":["d"]}}`, `{}`,
			[][3]string{
				{"", "required", "lacks the required properties: 'a'"},
				{"", "required", "lacks the required properties: 'd'"},
			},
		},
		"all of them": {
			`"properties":{"a":{"type":"string"},"b":{"minimum":1,"multipleOf":2},"c":{"enum":["x","y"]}},"required":["d"]`, `{"a":1,"b":-1,"c":"z"}`,
			[][3]string{
				{"", "required", "lacks the required properties: 'd'"},
				{"/a", "type", "expected string, but got number"},
				{"/b", "minimum", "must be at least 1, but is -1"},
				{"/b", "multipleOf", "must be a multiple of 2, but is -1"},
				{"/c", "enum", `must be one of "x", "y"`},
			},
		},
		"the same twice": {
			`"allOf":[{"required":["a"]},{"required":["a"]}]`, `{}`,
			[][3]string{{"", "required", "lacks the required properties: 'a'"}},
		},
		"contains": {
			`"contains":{"type":"string"}`, `[1]`,
			[][3]string{
				{"", "minContains", "valid must be >= 1, but got 0"},
				{"/0", "type", "expected string, but got number"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := one(t, `{"x-event":{"key":null},`+tc.schema+`}`)
			for range 5 { // Go's maps would show
				checked, err := set.Check("t", "", []byte(tc.data))
				refused := refusal(t, err)
				require.Equal(t, event.SchemaViolation, refused.Kind)
				var got [][3]string
				for _, v := range refused.Violations {
					got = append(got, [3]string{v.Pointer, v.Keyword, v.Message})
				}
				require.Equal(t, tc.want, got)
				require.NotNil(t, checked.Definition)
			}
		})
	}
}

func TestViolationDetail(t *testing.T) {
	t.Parallel()
	set := one(t, `{"x-event":{"key":null},"items":{"type":"string"},"type":"array"}`)
	detail := func(data string) string {
		_, err := set.Check("t", "", []byte(data))
		return refusal(t, err).Detail
	}
	require.Equal(t, "the data breaks the schema of t v1: the data itself expected array, but got object", detail(`{}`))
	require.Equal(t, "the data breaks the schema of t v1 in 2 ways: /0 expected string, but got number", detail(`[1,2]`))
}

func TestViolationsAreCapped(t *testing.T) {
	t.Parallel()
	set := one(t, `{"x-event":{"key":null},"items":{"type":"string"}}`)
	for n, want := range map[int]string{
		maxViolations:      "in 1000 ways: /0 ",
		maxViolations + 1:  "in more than 1000 ways (the first 1000 are listed): /0 ",
		20 * maxViolations: "in more than 1000 ways (the first 1000 are listed): /0 ",
	} {
		_, err := set.Check("t", "", []byte("["+strings.Repeat("1,", n-1)+"1]"))
		refused := refusal(t, err)
		require.Len(t, refused.Violations, maxViolations)
		require.Contains(t, refused.Detail, want)
		for i, v := range refused.Violations {
			require.Equal(t, fmt.Sprintf("/%d", i), v.Pointer)
		}
	}
}

func TestMessagesAreShort(t *testing.T) {
	t.Parallel()
	set := one(t, `{"x-event":{"key":null},"properties":{"t":{"format":"date-time"}}}`)
	_, err := set.Check("t", "", []byte(`{"t":"`+strings.Repeat("é", 100_000)+`"}`))
	refused := refusal(t, err)
	require.Less(t, len(refused.Violations[0].Message), maxMessage+10)
	require.True(t, strings.HasSuffix(refused.Violations[0].Message, "é…"))
	require.Less(t, len(refused.Detail), 2*maxMessage)
}
