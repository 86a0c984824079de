package schema

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The violations of the variant that was meant come first and make the detail.
func TestVariants(t *testing.T) {
	t.Parallel()
	const actions = `"oneOf":[
		{"properties":{"action":{"const":"created"},"n":{"type":"string"}},"required":["action","n"]},
		{"properties":{"action":{"const":"deleted"},"n":{"type":"integer"}},"required":["action","n"]},
		{"properties":{"action":{"enum":["edited","moved"]},"n":{"type":"boolean"}},"required":["action","n","by"]}]`
	for name, c := range map[string]struct {
		schema, data string
		first        string // pointer, keyword and message of the first violation
	}{
		"const":                 {actions, `{"action":"deleted","n":"x"}`, "/n type expected integer, but got string"},
		"the first":             {actions, `{"action":"created","n":1}`, "/n type expected string, but got number"},
		"enum of several":       {actions, `{"action":"moved","n":true}`, " required lacks the required properties: 'by'"},
		"no variant has it":     {actions, `{"action":"closed","n":1}`, `/action enum must be one of "created", "deleted", "edited", "moved"`},
		"the member is missing": {actions, `{"n":1}`, " oneOf matches none of the schemas under oneOf; exactly one must match"},
		"anyOf":                 {strings.Replace(actions, "oneOf", "anyOf", 1), `{"action":"deleted","n":"x"}`, "/n type expected integer, but got string"},
		"null or an object":     {`"properties":{"a":{"oneOf":[{"type":"null"},{"type":"object","required":["id"]}]}}`, `{"a":{}}`, "/a required lacks the required properties: 'id'"},
		"through references": {
			`"oneOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/b"}],"$defs":{"kind":{"enum":["b"]},
			"a":{"allOf":[{"properties":{"kind":{"const":"a"}}},{"properties":{"v":{"type":"string"}}}]},
			"b":{"allOf":[{"properties":{"kind":{"$ref":"#/$defs/kind"}}},{"properties":{"v":{"type":"integer"}}}]}}`,
			`{"kind":"b","v":"x"}`, "/v type expected integer, but got string",
		},
		"below": {
			`"properties":{"event":{"oneOf":[{"properties":{"type":{"const":"a"},"v":{"type":"string"}}},{"properties":{"type":{"const":"b"},"v":{"type":"integer"}}}]}}`,
			`{"event":{"type":"b","v":"x"}}`, "/event/v type expected integer, but got string",
		},
		"told apart below": {
			`"oneOf":[{"properties":{"event":{"properties":{"type":{"const":"a"}}},"v":{"type":"string"}}},{"properties":{"event":{"properties":{"type":{"const":"b"}}},"v":{"type":"integer"}}}]`,
			`{"event":{"type":"b"},"v":"x"}`, "/v type expected integer, but got string",
		},
		"a choice in a variant": {
			`"oneOf":[{"properties":{"action":{"const":"a"},"x":{"oneOf":[{"properties":{"t":{"const":1},"v":{"type":"string"}}},{"properties":{"t":{"const":2},"v":{"type":"null"}}}]}}},{"properties":{"action":{"const":"b"},"x":false}}]`,
			`{"action":"a","x":{"t":2,"v":"x"}}`, "/x/v type expected null, but got string",
		},
		// "state" differs between the variants, too, but only "action" is in all three.
		"the member that most variants limit": {
			`"oneOf":[{"properties":{"action":{"const":"opened"},"state":{"enum":["open"]}}},{"properties":{"action":{"const":"closed"},"state":{"enum":["closed"]}}},{"properties":{"action":{"const":"edited"},"by":{"type":"string"}},"required":["by"]}]`,
			`{"action":"edited","state":"open"}`, " required lacks the required properties: 'by'",
		},
		"a fault in an enum of the variant": {
			`"oneOf":[{"properties":{"action":{"const":"opened"},"state":{"enum":["open"]}}},{"properties":{"action":{"const":"closed"},"state":{"enum":["closed"]}}}]`,
			`{"action":"closed","state":"open"}`, `/state enum must be "closed"`,
		},
		"only one":                             {`"oneOf":[{"required":["a"]}]`, `{}`, " required lacks the required properties: 'a'"},
		"wrong in any case":                    {`"oneOf":[{"required":["a"],"properties":{"n":{"type":"string"}}},{"required":["b"],"properties":{"n":{"type":"string"}}}]`, `{"n":1}`, "/n type expected string, but got number"},
		"unevaluated because of another fault": {`"properties":{"k":true},"allOf":[{"properties":{"a":{"type":"string"}},"required":["z"]}],"unevaluatedProperties":false`, `{"a":1,"k":1}`, " required lacks the required properties: 'z'"},
		"unevaluated in a variant":             {strings.ReplaceAll(actions, `"required":["action","n"]`, `"required":["action","n"]`) + `,"unevaluatedProperties":false`, `{"action":"deleted","n":"x"}`, "/n type expected integer, but got string"},
		"two faults each":                      {`"oneOf":[{"required":["a"],"minProperties":2},{"required":["b"],"minProperties":3}]`, `{}`, " minProperties minimum 2 properties allowed, but found 0 properties"},
		"nothing tells":                        {`"oneOf":[{"required":["a"]},{"required":["b"]}]`, `{}`, " oneOf matches none of the schemas under oneOf; exactly one must match"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := one(t, `{"x-event":{"key":null},`+c.schema+`}`).Check("t", "", []byte(c.data))
			refused := refusal(t, err)
			first := refused.Violations[0]
			require.Equal(t, c.first, first.Pointer+" "+first.Keyword+" "+first.Message)
			for _, v := range refused.Violations {
				require.NotContains(t, v.Message, "is  under", "a wrapper is no violation")
			}
			require.True(t, strings.HasSuffix(refused.Detail, pointerName(first.Pointer)+" "+first.Message), refused.Detail)
		})
	}
}

// A wrong member in GitHub's deliveries is the first violation, whichever of up to
// 23 variants the delivery is (octokit/webhooks#900).
func TestVariantsOfGitHub(t *testing.T) {
	t.Parallel()
	set, deliveries := githubWebhooks(t)
	tried := 0
	for i, at := range sortedKeys(deliveries) {
		if i%4 > 0 { // a quarter has all kinds
			continue
		}
		data := deliveries[at]
		name, _, _ := strings.Cut(at, "/")
		var event map[string]any
		require.NoError(t, json.Unmarshal(data, &event))
		sender, ok := event["sender"].(map[string]any)
		if _, err := set.Check("github."+name, "", data); err != nil || !ok || event["action"] == nil {
			continue
		}
		tried++
		sender["id"] = "a string"
		broken, err := json.Marshal(event)
		require.NoError(t, err)
		_, err = set.Check("github."+name, "", broken)
		first := refusal(t, err).Violations[0]
		require.Equal(t, "/sender/id type", first.Pointer+" "+first.Keyword, at)
	}
	require.Greater(t, tried, 40)
}
