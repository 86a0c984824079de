package schema

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// inside is an object within an object, and so on, of so many levels.
func inside(levels int) string {
	return strings.Repeat(`{"child":`, levels) + "{}" + strings.Repeat("}", levels)
}

// doubling is a chain of "allOf" of twos that ends in an object.
func doubling(length int) string {
	var b strings.Builder
	for i := range length {
		fmt.Fprintf(&b, `"a%d":{"allOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]},`, i, i+1, i+1)
	}
	return fmt.Sprintf(`{"x-event":{"key":null},"$ref":"#/$defs/a0","$defs":{%s"a%d":{"type":"object"}}}`, b.String(), length)
}

const (
	variants   = `{"x-event":{"key":null},"oneOf":[{"properties":{"child":{"$ref":"#"}}},{"required":["op"],"properties":{"child":{"$ref":"#"}}}]}`
	treeSchema = `{"x-event":{"key":null},"type":"object","properties":{"child":{"$ref":"#"},"children":{"type":"array","items":{"$ref":"#"}}}}`
	dynamic    = `{"x-event":{"key":null},"$dynamicAnchor":"node","allOf":[{"properties":{"child":{"$dynamicRef":"#node"}}},{"properties":{"child":{"$dynamicRef":"#node"}}}]}`
	bothAllOf  = `{"x-event":{"key":null},"allOf":[{"properties":{"child":{"$ref":"#"}}},{"properties":{"child":{"$ref":"#"}}}]}`
	manyPlain  = `{"x-event":{"key":null},"type":"object","properties":{"a":{"type":"string"},"b":{"type":["null","integer"]}}}`
	sharedTree = `{"x-event":{"key":null},"properties":{"child":{"$ref":"../t/v1.json"}}}`
)

// Schemas that double the work at each level do not let a small event hold up the
// gateway: its validation stops with the step that is one too many. Their honest data
// are checked as usual.
func TestNoEventTakesForever(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		schema  string
		data    string
		refused bool
	}{
		"variants, honest":         {variants, inside(5), false},
		"variants, deep":           {variants, inside(60), true},
		"allOf, deep":              {bothAllOf, inside(60), true},
		"$dynamicRef, deep":        {dynamic, inside(60), true},
		"twos without end":         {doubling(40), "{}", true},
		"twos that are few enough": {doubling(10), "{}", false},
		"a tree, deep":             {treeSchema, inside(60), false},
		"a tree, wide":             {treeSchema, `{"children":[` + strings.Repeat(`{"children":[{},{}]},`, 30_000) + `{}]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := files{"t/v1.json": c.schema}.mustLoad(t)
			_, err := set.Check("t", "", []byte(c.data))
			if !c.refused {
				require.NoError(t, err)
				return
			}
			require.Equal(t, event.SchemaViolation, refusal(t, err).Kind)
			require.Contains(t, refusal(t, err).Detail, "too many steps")
			left := set.types["t"].byName["v1"].limit.left
			require.Negative(t, left)
			require.Greater(t, left, -2*unbounded, "no step of these schemas leads to more than two that are not counted")
			require.LessOrEqual(t, stepsFor(len(c.data)), maxSteps)
		})
	}
}

func TestOnlyWhatNeedsItIsCounted(t *testing.T) {
	t.Parallel()
	set := files{"t/v1.json": treeSchema, "plain/v1.json": manyPlain, "u/v1.json": sharedTree, "few/v1.json": doubling(10)}.mustLoad(t)
	counted := func(name string) *stepLimit { return set.types[name].byName["v1"].limit }
	require.Nil(t, counted("plain"))
	require.NotNil(t, set.types["plain"].byName["v1"].fast)
	require.Nil(t, counted("few"))
	require.NotNil(t, counted("t"))
	require.Same(t, counted("t"), counted("u"), "who refers to a counted schema is counted with it")
	require.Nil(t, files{"m/v1.json": `{"x-event":{"key":null},"$ref":"https://json-schema.org/draft/2020-12/schema"}`}.mustLoad(t).types["m"].byName["v1"].limit,
		"metaschemas belong to all")
	for _, each := range []string{"t", "u"} {
		_, err := set.Check(each, "", []byte(inside(20)))
		require.NoError(t, err)
	}
}
