package compat

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFindings holds where and how a finding points.
func TestFindings(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, old, new string
		direction      Direction
		pointer        string
		keyword        string
		says           []string
		witness        string
	}{
		{
			"limit", `{"type":"object","properties":{"a":{"maxLength":9}}}`, `{"type":"object","properties":{"a":{"maxLength":8}}}`,
			Backward, "/properties/a/maxLength", "maxLength",
			[]string{"/a: maxLength 9 → 8", "publishers"},
			`{"a":"aaaaaaaaa"}`,
		},
		{"required", `{"type":"object"}`, `{"type":"object","required":["id"]}`, Backward, "/required", "required", []string{`"id"`, "new schema only"}, `{}`},
		{"required no more", `{"type":"object","required":["id"]}`, `{"type":"object"}`, Forward, "/required", "required", []string{`"id"`, "old schema only", "consumers"}, `{}`},
		{
			"the new document's place", `{"properties":{"a":{"maximum":1}}}`, `{"properties":{"a":{"$ref":"#/$defs/n"}},"$defs":{"n":{"maximum":2}}}`,
			Forward, "/$defs/n/maximum", "maximum",
			[]string{"maximum 1 → 2"},
			`{"a":2}`,
		},
		{"only in the old document", `{"type":"object","properties":{"a":{"minimum":1}}}`, `{"type":"object"}`, Forward, "/properties/a/minimum", "minimum", []string{"minimum 1 → absent"}, `{"a":0}`},
		{
			"closed", `{"type":"object","properties":{"a/b":{"type":"null"}}}`, `{"type":"object","additionalProperties":false}`,
			Backward, "/additionalProperties", "additionalProperties",
			[]string{`"a/b"`, "forbidden"},
			`{"a/b":null}`,
		},
		{"type", `{"type":["string","null"]}`, `{"type":"string"}`, Backward, "/type", "type", []string{`["string","null"] → "string"`}, `null`},
		{"item", `{"type":"array","items":{"enum":[1,2]}}`, `{"type":"array","items":{"enum":[1]}}`, Backward, "/items/enum", "enum", []string{"/*: enum [1,2] → [1]"}, `[2]`},
		{"cannot tell", `{"type":"string","pattern":"^aa*$"}`, `{"type":"string","pattern":"^a+$"}`, Backward, "/pattern", "pattern", []string{"cannot be told", "not compared"}, ``},
		{"unknown draft", `{"type":"string"}`, `{"$schema":"https://example.com/mine","type":"string"}`, Forward, "/$schema", "$schema", []string{"cannot tell"}, ``},
		{"outside reference", `{"$ref":"address.json"}`, `{"$ref":"address.json"}`, Backward, "/$ref", "$ref", []string{"cannot be told"}, ``},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			report := Compare(parseJSON(t, c.old), parseJSON(t, c.new))
			var found []Finding
			for _, f := range report.Findings {
				if f.Direction == c.direction {
					found = append(found, f)
				}
			}
			require.NotEmpty(t, found)
			f := found[0]
			require.Equal(t, c.pointer, f.Pointer)
			require.Equal(t, c.keyword, f.Keyword)
			for _, text := range c.says {
				require.Contains(t, f.Message, text)
			}
			if c.witness != "" {
				require.JSONEq(t, c.witness, string(f.Witness))
			}
		})
	}
}

func TestEveryBreakIsFound(t *testing.T) {
	t.Parallel()
	report := Compare(
		parseJSON(t, `{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"},"c":{"maximum":5}}}`),
		parseJSON(t, `{"type":"object","required":["z"],"properties":{"a":{"type":"integer"},"b":{"type":"string"},"c":{"maximum":4}}}`))
	var pointers []string
	for _, f := range report.Findings {
		if f.Direction == Backward {
			pointers = append(pointers, f.Pointer)
		}
	}
	require.Equal(t, []string{"/properties/a/type", "/properties/b/type", "/properties/c/maximum", "/required"}, pointers)
}

func TestFullIsTheWorse(t *testing.T) {
	t.Parallel()
	order := []Verdict{Compatible, CannotTell, Breaking}
	for i, a := range order {
		for j, b := range order {
			require.Equal(t, order[max(i, j)], Report{Backward: a, Forward: b}.Full())
		}
	}
}

func TestReportAsJSON(t *testing.T) {
	t.Parallel()
	text := toJSON(t, Compare(parseJSON(t, `{}`), parseJSON(t, `{}`)))
	require.JSONEq(t, `{"backward":"compatible","forward":"compatible","findings":[]}`, text)
	text = toJSON(t, Compare(parseJSON(t, `true`), parseJSON(t, `false`)))
	require.Contains(t, text, `"witness":null`, "the event null is an event")
}

func TestNumbersAsFloats(t *testing.T) {
	t.Parallel()
	old := map[string]any{"type": "number", "maximum": 1.5, "enum": []any{1.0, 2.5, json.Number("0.5")}}
	require.Equal(t, Compatible, Compare(old, parseJSON(t, `{"enum":[1,0.5]}`)).Full())
	require.IsType(t, 1.5, old["maximum"], "the argument is not changed")
}

func TestLongWitnessIsLeftOut(t *testing.T) {
	t.Parallel()
	report := Compare(parseJSON(t, `{"maxLength":9000}`), parseJSON(t, `{"maxLength":8000}`))
	require.Equal(t, Breaking, report.Backward)
	require.Empty(t, report.Findings[0].Witness)
}

func TestMessagesAreShort(t *testing.T) {
	t.Parallel()
	list := `["` + strings.Repeat("x", 500) + `"`
	report := Compare(parseJSON(t, `{"enum":`+list+`,"a"]}`), parseJSON(t, `{"enum":`+list+`]}`))
	require.Less(t, len(report.Findings[0].Message), 500)
}
