package schema

import (
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/budget"
	"eventgateway/internal/event"
)

// bounded is a set with a budget and a limit of tokens.
func bounded(t *testing.T, text string, bytes int64, tokens int) (*Set, *budget.Budget) {
	t.Helper()
	set := *one(t, text)
	set.bounds = bounds{budget.New(bytes), tokens}
	return &set, set.bounds.budget
}

const anything = `{"x-event":{"key":null}}`

func TestTokensOfAnEvent(t *testing.T) {
	t.Parallel()
	set, b := bounded(t, anything, 1<<30, 1000)
	_, err := set.Check("t", "", []byte("["+strings.Repeat("0,", 997)+"0]"))
	require.NoError(t, err)
	_, err = set.Check("t", "", []byte("["+strings.Repeat("0,", 998)+"0]"))
	refused := refusal(t, err)
	require.Equal(t, event.EventTooLarge, refused.Kind)
	require.Contains(t, refused.Detail, "1000 tokens")
	require.Contains(t, refused.Detail, "http.token_limit")
	_, err = set.Key([]string{"/a"}, []byte("["+strings.Repeat("0,", 998)+"0]"), nil)
	require.Equal(t, event.EventTooLarge, refusal(t, err).Kind)
	require.Zero(t, b.Held())
}

// A tree is taken from the budget before it is there, and given back.
func TestTreesAreTakenFromTheBudget(t *testing.T) {
	t.Parallel()
	data := []byte("[" + strings.Repeat(`{"a":0},`, 100_000) + "0]") // takes some 40 MB
	set, b := bounded(t, anything, 1<<20, 0)
	_, err := set.Check("t", "", data)
	require.Equal(t, event.Overloaded, refusal(t, err).Kind)
	require.Zero(t, b.Held())
	_, err = set.Key([]string{"/a"}, data, nil)
	require.Equal(t, event.Overloaded, refusal(t, err).Kind)
	require.Zero(t, b.Held())

	set, b = bounded(t, anything, 256<<20, 0)
	_, err = set.Check("t", "", data)
	require.NoError(t, err)
	require.Zero(t, b.Held())
}

// While long work has all its slots, ordinary events are checked; one whose schema takes
// long waits for its turn, whatever its size.
func TestLongChecksTakeTurns(t *testing.T) {
	t.Parallel()
	for name, variants := range map[string]string{
		"costly to check": `{"type":"string"},
			{"properties":{"a":{"$ref":"#/$defs/t"}},"required":["b"]},{"properties":{"a":{"$ref":"#/$defs/t"}},"required":["c"]}`,
		"costly to explain": `{"type":["object","string"],"properties":{"a":{"$ref":"#/$defs/t"}},"required":["b"],"minLength":1},
			{"type":"object","properties":{"a":{"$ref":"#/$defs/t"}},"required":["c"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			longChecksTakeTurns(t, `{"x-event":{"key":null},"$ref":"#/$defs/t","$defs":{"t":{"anyOf":[`+variants+`]}}}`)
		})
	}
}

func longChecksTakeTurns(t *testing.T, schema string) {
	t.Helper()
	set, b := bounded(t, schema, 1<<30, 0)
	deep := []byte(strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat("}", 40))
	_, err := set.Check("t", "", deep)
	require.Equal(t, event.SchemaViolation, refusal(t, err).Kind)

	var held []*budget.Work
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		w, err := b.Begin(budget.QuickBytes + 1)
		require.NoError(t, err)
		held = append(held, w)
	}
	_, err = set.Check("t", "", []byte(`"x"`))
	require.NoError(t, err)
	_, err = set.Check("t", "", deep)
	require.Equal(t, event.Overloaded, refusal(t, err).Kind)
	for _, w := range held {
		w.End()
	}
	_, err = set.Check("t", "", deep)
	require.Equal(t, event.SchemaViolation, refusal(t, err).Kind, "the verdict does not depend on the slot")
	require.Zero(t, b.Held())
}

// Events of a batch list their violations from one allowance, and search for no more.
func TestBatchesHaveOneAllowance(t *testing.T) {
	t.Parallel()
	set, b := bounded(t, `{"x-event":{"key":null},"items":{"type":"string"}}`, 1<<30, 0)
	within, err := set.Together(100)
	require.NoError(t, err)
	data := []byte("[" + strings.Repeat("0,", 299) + "0]")
	listed := 0
	for i := range 1000 {
		_, err := set.CheckWithin("t", "", data, within)
		refused := refusal(t, err)
		require.Equal(t, event.SchemaViolation, refused.Kind)
		require.Contains(t, refused.Detail, "breaks the schema", i)
		listed += len(refused.Violations)
	}
	require.Equal(t, event.MaxViolations, listed)
	_, err = set.CheckWithin("t", "", []byte(`["a"]`), within)
	require.NoError(t, err, "a valid event needs nothing of it")
	require.Positive(t, within.Steps, "a thousand ordinary mistakes leave some")
	within.Slot.End()
	require.Zero(t, b.Held())
}

func TestTextsOfViolationsAreBounded(t *testing.T) {
	t.Parallel()
	set := one(t, `{"x-event":{"key":null},"additionalProperties":{"type":"string"}}`)
	var data strings.Builder
	for i := range 900 {
		fmt.Fprintf(&data, `,"%s%d":0`, strings.Repeat("n", 400), i)
	}
	_, err := set.Check("t", "", []byte("{"+data.String()[1:]+"}"))
	refused := refusal(t, err)
	bytes := 0
	for _, v := range refused.Violations {
		bytes += len(v.Pointer) + len(v.Keyword) + len(v.Message)
	}
	require.LessOrEqual(t, bytes, event.MaxViolationBytes)
	require.Greater(t, bytes, event.MaxViolationBytes*9/10)
	require.Contains(t, refused.Detail, "or more")
}

// What events of a batch cost beyond ordinary comes from one allowance, too.
func TestBatchesShareTheirSteps(t *testing.T) {
	t.Parallel()
	set, _ := bounded(t, `{"x-event":{"key":null},"uniqueItems":true,"items":{"uniqueItems":true}}`, 1<<30, 0)
	within, err := set.Together(1 << 20)
	require.NoError(t, err)
	defer within.Slot.End()
	ordinary := []byte(`[[1,2,3],["a","b"]]`)
	for range 1000 {
		_, err := set.CheckWithin("t", "", ordinary, within)
		require.NoError(t, err)
	}
	require.Greater(t, within.Steps, batchUnits*9/10)
	within.Steps = 0
	_, err = set.CheckWithin("t", "", ordinary, within)
	require.NoError(t, err, "what is ordinary is always allowed")
}

// A reload keeps the budget, and so does a caller's view.
func TestReloadsKeepTheBudget(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files{"t/v1.json": anything}.write(t, dir)
	b := budget.New(1 << 30)
	c, err := New(Config{Dir: dir, Budget: b, TokenLimit: 3}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(t, err)
	check := func(set *Set) {
		_, err := set.Check("t", "", []byte(`[1,2]`))
		require.Equal(t, event.EventTooLarge, refusal(t, err).Kind)
	}
	check(c.Set())
	files{"t/v1.json": `{"x-event":{"key":null},"title":"x"}`, "u/v1.json": anything}.write(t, dir)
	f, _ := steady(dir)
	c.reload(f)
	require.Len(t, c.Set().names, 2)
	check(c.Set())
	check(c.Set().Only(func(name string) bool { return name == "t" }))
}
