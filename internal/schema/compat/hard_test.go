package compat

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// doubling is a schema whose expansion is 2^levels large.
func doubling(levels int, required, leaf string) string {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/$defs/d0","$defs":{`)
	for i := range levels {
		fmt.Fprintf(&b, `"d%d":{"type":"object","required":[%s],"properties":{"a":{"$ref":"#/$defs/d%d"},"b":{"$ref":"#/$defs/d%d"}}},`, i, required, i+1, i+1)
	}
	fmt.Fprintf(&b, `"d%d":%s}}`, levels, leaf)
	return b.String()
}

// alternatives is a schema with many ways to be met.
func alternatives(n int, leaf string) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf(`{"anyOf":[{"minimum":%d},{"maxLength":%d},%s]}`, i, i, leaf))
	}
	return `{"allOf":[` + strings.Join(parts, ",") + `]}`
}

// TestHard holds the work on schemas that expand exponentially to its limit.
func TestHard(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name              string
		old, new          string
		backward, forward Verdict
	}{
		{"doubling, optional", doubling(30, "", `{"type":"number"}`), doubling(30, "", `{"type":"integer"}`), Breaking, Compatible},
		{"doubling, required", doubling(30, `"a","b"`, `{"type":"number"}`), doubling(30, `"a","b"`, `{"type":"integer"}`), CannotTell, Compatible},
		{"doubling, required, few levels", doubling(6, `"a","b"`, `{"type":"number"}`), doubling(6, `"a","b"`, `{"type":"integer"}`), Breaking, Compatible},
		{"too many alternatives", alternatives(12, `{"minItems":1}`), alternatives(12, `{"minItems":2}`), CannotTell, CannotTell},
		{"a long string", `{"type":"string","maxLength":50000}`, `{"type":"string","maxLength":40000}`, Breaking, Compatible},
		{"an endless string", `{"type":"string","maxLength":5000000000}`, `{"type":"string","maxLength":4000000000}`, CannotTell, Compatible},
		{"a number with a huge exponent", `{"type":"number","maximum":1e400}`, `{"type":"number","maximum":1e401}`, Compatible, Breaking},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			report := Compare(parseJSON(t, c.old), parseJSON(t, c.new))
			require.Equal(t, c.backward, report.Backward, toJSON(t, report))
			require.Equal(t, c.forward, report.Forward, toJSON(t, report))
		})
	}
}

// TestGarbage gives Compare trees that are no schemas: it must return, and
// conclude nothing good from a keyword that it cannot read.
func TestGarbage(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 7))
		g := &schemas{Rand: r}
		before, after := g.pair()
		require.NotPanics(t, func() { Compare(spoil(r, before), spoil(r, after)) }, "seed %d", seed)
	}
	for _, keyword := range []string{
		"type", "enum", "minimum", "maxLength", "pattern", "required", "properties", "items", "prefixItems", "allOf", "anyOf", "oneOf", "not",
		"multipleOf", "additionalProperties", "$ref", "exclusiveMaximum", "if",
	} {
		bad := map[string]any{keyword: 1.5, "then": 1.5, "title": "bad"}
		if keyword == "minimum" || keyword == "exclusiveMaximum" || keyword == "multipleOf" {
			bad[keyword] = "1.5"
		}
		require.NotEqual(t, Compatible, Compare(map[string]any{"type": "string"}, bad).Full(), keyword)
	}
}

// spoil puts wrong values at random places.
func spoil(r *rand.Rand, v any) any {
	if r.IntN(12) == 0 {
		return []any{nil, true, "#", 1.5, []any{}, map[string]any{}, "(", -1.0, []any{1.0}}[r.IntN(9)]
	}
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			v[name] = spoil(r, value)
		}
	case []any:
		for i := range v {
			v[i] = spoil(r, v[i])
		}
	}
	return v
}
