package compat

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The property test makes pairs of schemas from seeds firstSeed, firstSeed+1, …
// More of them: COMPAT_PAIRS=100000 go test -run Random ./internal/schema/compat
const (
	defaultPairs  = 700
	eventsPerSide = 40
)

func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// tally counts the verdicts, and how far the instances agree with them.
type tally struct {
	verdicts   map[Verdict]int
	witnessed  int // breaking, with an event in the report
	missed     int // cannot-tell, though random events found a break
	seenBreaks int // random events found a break
	slowest    time.Duration
	slowSeed   uint64
}

func TestRandomPairs(t *testing.T) {
	t.Parallel()
	pairs, first := setting(t, "COMPAT_PAIRS", defaultPairs), setting(t, "COMPAT_SEED", 1)
	count := tally{verdicts: make(map[Verdict]int)}
	for seed := first; seed < first+pairs; seed++ {
		count.pair(t, uint64(seed))
	}
	all := 2 * pairs
	t.Logf("%d pairs from seed %d, %d directions: %d compatible, %d breaking (%d with an event), %d cannot tell; "+
		"random events broke %d directions, of which %d were cannot-tell; slowest comparison %v (seed %d)",
		pairs, first, all, count.verdicts[Compatible], count.verdicts[Breaking], count.witnessed, count.verdicts[CannotTell],
		count.seenBreaks, count.missed, count.slowest, count.slowSeed)
	require.Greater(t, count.verdicts[Compatible], all/5, "too few are compatible: the test shows little")
	require.Greater(t, count.verdicts[Breaking], all/5, "too few are breaking: the test shows little")
	require.Less(t, count.verdicts[CannotTell], all/10, "too many cannot be told")
}

func (c *tally) pair(t *testing.T, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 0))
	g := &schemas{Rand: r}
	before, after := g.pair()
	context := "seed " + strconv.FormatUint(seed, 10) + "\nold " + toJSON(t, before) + "\nnew " + toJSON(t, after)
	start := time.Now()
	report := Compare(before, after)
	if took := time.Since(start); took > c.slowest {
		c.slowest, c.slowSeed = took, seed
	}
	both := directions(t, before, after, report)
	requireWitnesses(t, report, both, context)
	var events []any
	for _, g := range []*instances{newInstances(r, before, after), newInstances(r, after, before)} {
		for range eventsPerSide {
			events = append(events, g.make(g.root, 0))
		}
	}
	for _, d := range both {
		c.verdicts[d.verdict]++
		for _, f := range report.Findings {
			if f.Direction == d.name && f.Witness != nil {
				c.witnessed++
				break
			}
		}
		for _, e := range events {
			if accepts(d.smaller, e) && !accepts(d.larger, e) {
				require.NotEqual(t, Compatible, d.verdict, "%s is broken by %s\n%s", d.name, toJSON(t, e), context)
				c.seenBreaks++
				if d.verdict == CannotTell {
					c.missed++
				}
				break
			}
		}
	}
}
