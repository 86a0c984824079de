package compat

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/schema/formats"
)

// parseJSON reads JSON as the gateway does: numbers keep their text.
func parseJSON(t testing.TB, text string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	require.NoError(t, dec.Decode(&v), text)
	return v
}

func toJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// judgeOf compiles a schema with the library that the gateway validates with.
func judgeOf(t testing.TB, schema any) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	for _, name := range formats.Names() {
		compiler.Formats[name] = formats.OfValue(name)
	}
	compiler.AssertFormat = true
	require.NoError(t, compiler.AddResource("schema.json", strings.NewReader(toJSON(t, schema))))
	compiled, err := compiler.Compile("schema.json")
	require.NoError(t, err, toJSON(t, schema))
	return compiled
}

func accepts(schema *jsonschema.Schema, v any) bool {
	return schema.Validate(v) == nil
}

// direction is one direction of a pair of schemas: everything in the smaller
// should be in the larger.
type direction struct {
	name            Direction
	verdict         Verdict
	smaller, larger *jsonschema.Schema
}

func directions(t testing.TB, old, new any, report Report) []direction {
	t.Helper()
	before, after := judgeOf(t, old), judgeOf(t, new)
	return []direction{
		{Backward, report.Backward, before, after},
		{Forward, report.Forward, after, before},
	}
}

// requireWitnesses holds the library against every event that a report quotes.
func requireWitnesses(t testing.TB, report Report, both []direction, context string) {
	t.Helper()
	for _, f := range report.Findings {
		require.NotEmpty(t, f.Message, context)
		if f.Witness == nil {
			continue
		}
		require.Equal(t, Breaking, f.Verdict, context)
		event := parseJSON(t, string(f.Witness))
		for _, d := range both {
			if d.name == f.Direction {
				require.True(t, accepts(d.smaller, event), "%s: %s is not valid under the first schema of %s\n%s", f.Message, f.Witness, f.Direction, context)
				require.False(t, accepts(d.larger, event), "%s: %s is valid under both schemas\n%s", f.Message, f.Witness, context)
			}
		}
	}
	for _, d := range both {
		worst := Compatible
		for _, f := range report.Findings {
			if f.Direction == d.name {
				worst = worse(worst, f.Verdict)
			}
		}
		require.Equal(t, d.verdict, worst, "the verdict is not that of the findings\n%s", context)
	}
}
