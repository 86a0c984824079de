package model

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The race detector makes a search ten times slower, and a search has one goroutine:
// with it, only small searches run.
const smallFaults = 1

func TestAllRulesHold(t *testing.T) {
	t.Parallel()
	for _, n := range Runs(false) {
		t.Run(n.Name, func(t *testing.T) {
			t.Parallel()
			if underRace && (n.Config.Faults > smallFaults || n.Config.Attempts > 2) {
				t.Skip("too slow under the race detector")
			}
			r := Run(n.Config)
			require.Empty(t, r.Violated, Line(r.Trace))
			t.Logf("%d states, %d deep, %v", r.States, r.Depth, r.Elapsed)
		})
	}
}

func TestEachRuleLeftOut(t *testing.T) {
	t.Parallel()
	for _, c := range Cases(false) {
		t.Run(c.Rule.String()+"/"+c.Config.Words(), func(t *testing.T) {
			t.Parallel()
			if underRace && (c.Holds || c.Config.Kinds&Failover != 0 && !c.Config.OneGateway) {
				t.Skip("too slow under the race detector")
			}
			r := Run(c.Config)
			if c.Holds {
				require.Empty(t, r.Violated, Line(r.Trace))
				return
			}
			require.NotEmpty(t, r.Violated, "the rule is not needed within these bounds")
			require.Len(t, r.Trace, r.Depth)
		})
	}
}

// Each rule's case must hold again once the rule is back in force: otherwise its
// trace is about something else.
func TestEachRuleInForce(t *testing.T) {
	t.Parallel()
	for _, c := range Cases(false) {
		t.Run(c.Rule.String()+"/"+c.Config.Words(), func(t *testing.T) {
			t.Parallel()
			if c.Holds || underRace || c.Config.Kinds&Failover != 0 {
				t.Skip("see TestAllRulesHold; or too slow")
			}
			c.Config.Without = 0
			r := Run(c.Config)
			require.Empty(t, r.Violated, Line(r.Trace))
		})
	}
}

// Clearing fields that no longer matter must not change what is found, nor at what
// depth. Only tidying renumbers producers, so rebuilds are left out.
func TestTidyingChangesNoVerdict(t *testing.T) {
	t.Parallel()
	configs := map[string]Config{
		"idempotent, all rules":    {Attempts: 2, Faults: 1, Kinds: process, Partitions: 1},
		"transactional, all rules": {Guarantee: Transactional, Attempts: 2, Faults: 1, Kinds: process, Partitions: 1},
	}
	for _, c := range Cases(false) {
		if c.Config.Kinds&(Flush|Failover|Move) == 0 && c.Config.Attempts < 3 {
			configs[c.Rule.String()+"/"+c.Config.Words()] = c.Config
		}
	}
	for name, c := range configs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tidy := Run(c)
			c.untidy = true
			untidy := Run(c)
			require.Equal(t, tidy.Violated, untidy.Violated, Line(untidy.Trace))
			require.GreaterOrEqual(t, untidy.States, tidy.States)
			if tidy.Violated != "" {
				require.Len(t, tidy.Trace, len(untidy.Trace))
			}
		})
	}
}

func TestEveryRuleHasACase(t *testing.T) {
	t.Parallel()
	seen := map[Rule]bool{}
	for _, c := range Cases(true) { // some take millions of states
		seen[c.Rule] = true
	}
	require.Len(t, seen, int(ruleCount))
	for r := range ruleCount {
		require.NotEmpty(t, r.String())
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	trace := []Step{
		{stepStart, 0, 0},
		{stepClaim, 0, claimWon},
		{stepPublish, 0, 0},
		{stepCrash, 0, 0},
		{stepReplicate, 0, 0},
		{stepReplicate, 0, 0},
		{stepStart, 1, 1<<4 | 1},
		{stepClaim, 1, claimInProgress},
	}
	require.Equal(t, "A1@G1 claims, publishes; G1 CRASHES; the watermark moves; A2@G2/p1 finds it claimed: 409", Line(trace))
}

// The progress check has to be able to fail: here the lock of a dead gateway
// cannot be stolen, and here it can.
func TestStuck(t *testing.T) {
	t.Parallel()
	c := all(Idempotent, 1, 0)
	x := newExpansion(&c)
	s := initial()
	s.redis = redis{lock: 2}
	require.Empty(t, x.stuck(&s), "the holder is gone")
	s.redis.lock = 3 // nobody's
	s.rebuild[0].phase, s.rebuild[1].phase = rebuildLocked+9, rebuildLocked+9
	require.NotEmpty(t, x.stuck(&s))
}
