package compat

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// change is one change of a schema and what it does.
type change struct {
	name              string
	old, new          string
	backward, forward Verdict
}

// eventsPerCase is how many events of each schema look for a break that Compare
// has not seen.
const eventsPerCase = 150

// TestChanges holds each verdict to events: a break is shown by the event in the
// report, which the library accepts under one schema and refuses under the
// other; "compatible" is not contradicted by random events of both schemas.
func TestChanges(t *testing.T) {
	t.Parallel()
	groups := map[string][]change{
		"types": typeChanges, "numbers": numberChanges, "strings": stringChanges, "arrays": arrayChanges,
		"objects": objectChanges, "references": referenceChanges, "choices": choiceChanges, "drafts": dialectChanges,
		"vacuous": vacuousChanges, "beyond": beyondChanges,
	}
	count := 0
	for group, changes := range groups {
		count += len(changes)
		for _, c := range changes {
			t.Run(group+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				c.check(t)
			})
		}
	}
	require.GreaterOrEqual(t, count, 60)
	t.Logf("%d changes", count)
}

func (c change) check(t *testing.T) {
	before, after := parseJSON(t, c.old), parseJSON(t, c.new)
	report := Compare(before, after)
	context := toJSON(t, report)
	require.Equal(t, c.backward, report.Backward, "backward: %s", context)
	require.Equal(t, c.forward, report.Forward, "forward: %s", context)
	both := directions(t, before, after, report)
	requireWitnesses(t, report, both, context)
	r := rand.New(rand.NewPCG(1, 2))
	var events []any
	for _, g := range []*instances{newInstances(r, before, after), newInstances(r, after, before)} {
		for range eventsPerCase {
			events = append(events, g.make(g.root, 0))
		}
	}
	for _, d := range both {
		shown := false
		for _, f := range report.Findings {
			shown = shown || f.Direction == d.name && f.Witness != nil
		}
		require.Equal(t, d.verdict == Breaking, shown, "%s: every break has an event", d.name)
		if d.verdict != Compatible {
			continue
		}
		for _, e := range events {
			require.False(t, accepts(d.smaller, e) && !accepts(d.larger, e), "%s is broken by %s", d.name, toJSON(t, e))
		}
	}
	// The other way round, the same must come out.
	back := Compare(after, before)
	require.Equal(t, []Verdict{c.forward, c.backward}, []Verdict{back.Backward, back.Forward})
	require.Equal(t, Compatible, Compare(before, before).Full(), "nothing is compatible if not the schema with itself")
}
