package torture

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSpreadLeavesOneBrokerOut: each broker has no replica of a quarter of the
// partitions, and leads a quarter.
func TestSpreadLeavesOneBrokerOut(t *testing.T) {
	t.Parallel()
	leads, without := map[int32]int{}, map[int]int{}
	for p := range int32(24) {
		ids := spread(p)
		require.Len(t, map[int32]bool{ids[0]: true, ids[1]: true, ids[2]: true}, 3)
		leads[ids[0]]++
		for broker := 1; broker <= 4; broker++ {
			if !onBroker(p, broker) {
				without[broker]++
			}
		}
	}
	require.Equal(t, map[int32]int{1: 6, 2: 6, 3: 6, 4: 6}, leads)
	require.Equal(t, map[int]int{1: 6, 2: 6, 3: 6, 4: 6}, without)
}

// TestBesidesTheVictim: only partition 0 has a replica there, and does not lead there.
func TestBesidesTheVictim(t *testing.T) {
	t.Parallel()
	for victim := 1; victim <= 4; victim++ {
		for p := range int32(24) {
			ids := besides(p, victim)
			require.Len(t, map[int32]bool{ids[0]: true, ids[1]: true, ids[2]: true}, 3)
			at := slices.Index(ids, int32(victim))
			if p == 0 {
				require.Equal(t, 2, at)
			} else {
				require.Equal(t, -1, at)
			}
		}
	}
}

func blastOf(shots ...shot) *blastLoad {
	o := Defaults()
	return &blastLoad{world: &world{opts: &o}, shots: shots}
}

func TestBlastMeasures(t *testing.T) {
	t.Parallel()
	start := time.Now()
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	all := func(int32) bool { return true }
	l := blastOf(
		shot{0, at(1), time.Millisecond, ""}, shot{1, at(1), 3 * time.Millisecond, ""}, shot{0, at(2), 2 * time.Millisecond, ""},
		shot{0, at(4), 10 * time.Second, outcomeUnknown}, shot{1, at(5), time.Millisecond, outcomeNotWritten}, shot{0, at(8), 3 * time.Second, ""},
	)
	s := l.measure(all, at(0), at(4))
	require.Equal(t, blastStats{events: 3, p50: 2 * time.Millisecond, p99: 3 * time.Millisecond}, s)
	s = l.measure(func(p int32) bool { return p == 0 }, at(0), at(5))
	require.Equal(t, 1, s.unknown)
	require.InDelta(t, 33.3, s.percent(s.unknown), 0.1)
	require.Equal(t, 10*time.Second, s.p99, "an event that was not accepted is among the slowest")
	s = l.measure(all, at(5), at(9))
	require.Equal(t, 1, s.refused)
	require.Equal(t, l.opts.answerLimit(), s.p99)

	back, whole := l.wholeAfter(all, at(3), at(20))
	require.True(t, whole)
	require.Equal(t, 5*time.Second, back, "the slow one at 8")
	_, whole = l.wholeAfter(all, at(3), at(9))
	require.False(t, whole)
	back, _ = l.wholeAfter(func(p int32) bool { return p == 1 }, at(5), at(20))
	require.Zero(t, back)
}

func TestBlastJudges(t *testing.T) {
	t.Parallel()
	before := blastStats{events: 1000, p50: time.Millisecond, p99: 5 * time.Millisecond}
	good := blastStats{events: 1000, p50: time.Millisecond, p99: 10 * time.Millisecond}
	for name, c := range map[string]struct {
		group  string
		stuck  bool
		change func(s *blastStats, back *time.Duration, whole *bool)
		want   string // "": nothing is missed
	}{
		"good":                  {"without", false, func(*blastStats, *time.Duration, *bool) {}, ""},
		"slower":                {"without", false, func(s *blastStats, _ *time.Duration, _ *bool) { s.p99++ }, "p99 was 5ms"},
		"one refused":           {"without", false, func(s *blastStats, _ *time.Duration, _ *bool) { s.refused = 1 }, "0 events unknown and 1 refused"},
		"a few unknown, harmed": {"with", false, func(s *blastStats, _ *time.Duration, _ *bool) { s.unknown, s.p99 = 10, time.Minute }, ""},
		"many unknown, harmed":  {"with", false, func(s *blastStats, _ *time.Duration, _ *bool) { s.unknown = 11 }, "1.10 %"},
		"stuck":                 {"with", true, func(s *blastStats, _ *time.Duration, _ *bool) { s.unknown = 900 }, ""},
		"late":                  {"with", true, func(_ *blastStats, back *time.Duration, _ *bool) { *back = wholeAgain + 1 }, "not whole again"},
		"never":                 {"without", false, func(_ *blastStats, _ *time.Duration, whole *bool) { *whole = false }, "not whole again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			during, back, whole := good, time.Second, true
			c.change(&during, &back, &whole)
			missed := blastScenario{name: "frozen", stuck: c.stuck}.judge(c.group, before, during, back, whole)
			if c.want == "" {
				require.Empty(t, missed)
			} else {
				require.Len(t, missed, 1)
				require.Contains(t, missed[0], c.want)
			}
		})
	}
}

func TestBlastOptions(t *testing.T) {
	t.Parallel()
	o := BlastDefaults()
	require.NoError(t, o.validate())
	o.Victim, o.Partitions, o.Scenarios = 5, 10, []string{"burnt"}
	err := o.validate()
	for _, want := range []string{"victim 5", "10 partitions", `no scenario "burnt"`} {
		require.ErrorContains(t, err, want)
	}
}
