package schema

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// Schemas that multiply the work at each level do not let a small event hold up the
// gateway. Where remembering helps, their data are checked as usual; where it does not, the
// validation stops.
func TestNoEventTakesForever(t *testing.T) {
	t.Parallel()
	const valid, invalid, stopped = "valid", "invalid", "too many steps"
	for name, c := range map[string]struct{ schema, data, want string }{
		"variants, honest":         {variants, inside(5), valid},
		"variants, deep":           {variants, inside(60), valid},
		"variants, deep, wrong":    {variants, children(60, `{"op":1}`), invalid},
		"allOf, deep":              {bothAllOf, inside(60), valid},
		"$dynamicRef, deep":        {dynamic, inside(60), valid},
		"twos without end":         {doubling(40), "1", stopped},
		"twos that are few enough": {doubling(10), "1", valid},
		"a tree, wide":             {treeDeep, `{"a":[` + strings.Repeat(`{"a":[{},{"b":1}]},`, 1) + `{}]}`, valid},
		"a loop of $recursiveRef": {
			`"$schema":"https://json-schema.org/draft/2019-09/schema","$recursiveAnchor":true,"anyOf":[{"properties":{"child":{"$recursiveRef":"#"}}},{"items":{"$recursiveRef":"#"}}],"type":"object"`,
			inside(60), valid,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := one(t, `{"x-event":{"key":null},`+c.schema+`}`)
			_, err := set.Check("t", "", []byte(c.data))
			if c.want == valid {
				require.NoError(t, err)
				return
			}
			require.Equal(t, event.SchemaViolation, refusal(t, err).Kind)
			require.Equal(t, c.want == stopped, strings.Contains(refusal(t, err).Detail, "too many steps"), refusal(t, err).Detail)
		})
	}
}

// A schema that would never end is refused when it is loaded.
func TestEndlessSchemasAreRefused(t *testing.T) {
	t.Parallel()
	lines := files{
		"a/v1.json": `{"x-event":{"key":null},"$dynamicAnchor":"node","$ref":"../_b/b.json"}`,
		"_b/b.json": `{"$dynamicRef":"#node","$defs":{"n":{"$dynamicAnchor":"node"}}}`,
	}.problems(t)
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], "a/v1.json:1: refers to itself without end")
}

// The cost of one validation is its own: validations of one schema run side by side.
func TestValidationsShareNothing(t *testing.T) {
	t.Parallel()
	set := one(t, `{"x-event":{"key":null},`+variants+`}`)
	meet, leave := make(chan struct{}), make(chan struct{})
	set.types["t"].byName["v1"].accept.format = &boundedFormat{check: func(any) bool {
		select {
		case meet <- struct{}{}:
			<-leave
		case <-leave: // an explanation looks once more
		}
		return true
	}}
	results := make(chan error, 3)
	for range cap(results) {
		go func() {
			_, err := set.Check("t", "", []byte(`"x"`))
			results <- err
		}()
	}
	for range cap(results) {
		<-meet
	}
	close(leave) // all were in the middle of it at once
	for range cap(results) {
		require.Error(t, <-results, "it matches the first of the variants, and the second")
	}
}

// Large events as people send them are far from the limits.
func TestLargeHonestEvents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ schema, data string }{
		"tags":          {`"uniqueItems":true,"items":{"type":"string","maxLength":50}`, items(counted(`"tag-%d"`))},
		"unique lists":  {`"uniqueItems":true`, items(signs)},
		"orders":        {ordinarySchema[len(`{"x-event":{"key":"/orderId"},`) : len(ordinarySchema)-1], filled(ordinaryOrder[:len(ordinaryOrder)-2]+`,`, counted(`{"sku":"s-%d","quantity":3,"price":10.25}`), `]}`)},
		"base64":        {`"pattern":"^[A-Za-z0-9+/]*={0,2}$"`, aLongText("QUJD")},
		"base64, exact": {`"pattern":"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$","maxLength":500000`, `"` + strings.Repeat("QUJD", 120_000) + `"`},
		"texts":         {`"items":{"pattern":"^.{1,500}$","minLength":1}`, items(same(`"` + strings.Repeat("word ", 90) + `"`))},
		"links":         {`"items":{"type":"object","properties":{"url":{"format":"uri"},"at":{"format":"date-time"}}}`, items(counted(`{"url":"https://example.com/a/%d?b=c","at":"2026-01-31T12:00:00Z"}`))},
		"variants":      {`"items":{"oneOf":[{"properties":{"kind":{"const":"a"}},"required":["kind"]},{"properties":{"kind":{"const":"b"},"n":{"type":"integer"}},"required":["kind"]}]}`, items(counted(`{"kind":"b","n":%d}`))},
		"strict":        {`"items":{"allOf":[{"properties":{"a":{"type":"integer"}}}],"properties":{"b":true},"unevaluatedProperties":false}`, items(counted(`{"a":%d,"b":[]}`))},
		"metrics":       {`"items":{"type":"number","minimum":-273.15}`, items(counted(`%d.5`))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := one(t, `{"x-event":{"key":null},`+c.schema+`}`).Check("t", "", []byte(c.data))
			require.NoError(t, err)
		})
	}
}
