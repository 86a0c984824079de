package compat

import (
	"regexp"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/schema/formats"
)

// TestFormatsAreTheValidators holds the samples to the checks of events, and the names
// to those that events are checked against.
func TestFormatsAreTheValidators(t *testing.T) {
	t.Parallel()
	var names []string
	for _, f := range knownFormats {
		for _, name := range append([]string{f.name}, f.aliases...) {
			names = append(names, name)
			for _, text := range f.samples {
				require.True(t, formats.Of(name)(text), "%s: %q", name, text)
			}
		}
		require.Equal(t, no, judgeFormat(f.name, "%zz\n("), f.name)
	}
	require.ElementsMatch(t, formats.Names(), names)
}

// TestFormatsBetweenEachOther adds, removes and changes each format.
func TestFormatsBetweenEachOther(t *testing.T) {
	t.Parallel()
	schema := func(format string) any { return map[string]any{"type": "string", "format": format} }
	for _, f := range knownFormats {
		report := Compare(schema("no-such-format"), schema(f.name))
		require.Equal(t, []Verdict{Breaking, Compatible}, []Verdict{report.Backward, report.Forward}, f.name)
		requireWitnesses(t, report, directions(t, schema("no-such-format"), schema(f.name), report), f.name)
		for _, other := range knownFormats {
			report := Compare(schema(f.name), schema(other.name))
			if f.name == other.name {
				require.Equal(t, Compatible, report.Full(), f.name)
				continue
			}
			if formatInside(f.name, other.name) {
				require.Equal(t, []Verdict{Compatible, Breaking}, []Verdict{report.Backward, report.Forward}, "%s to %s", f.name, other.name)
				for _, text := range f.samples {
					require.True(t, formats.Of(other.name)(text), "%s is %s", text, other.name)
				}
				continue
			}
			require.NotEqual(t, Compatible, report.Backward, "%s to %s", f.name, other.name)
			requireWitnesses(t, report, directions(t, schema(f.name), schema(other.name), report), f.name+" to "+other.name)
		}
	}
}

func TestPatternLengths(t *testing.T) {
	t.Parallel()
	cases := []struct {
		pattern           string
		shortest, longest int
	}{
		{"", 0, -1},
		{"a", 1, -1},
		{"^a$", 1, 1},
		{"^[A-Z]{2}$", 2, 2},
		{"^(ab|c)?d{1,3}$", 1, 5},
		{"^a|b$", 1, -1},
		{"^(?:a|bb)$", 1, 2},
		{"^a*$", 0, -1},
		{"^a+b$", 2, -1},
		{"(?m)^a$", 1, -1},
		{`\A\pL{3}\z`, 3, 3},
		{`^\bfoo\b$`, 3, 3},
		{"(?i)^ſ$", 1, 1},
		{"^a{2,}$", 2, -1},
		{"^$", 0, 0},
	}
	for _, c := range cases {
		shortest, longest := patternLengths(c.pattern)
		require.Equal(t, []int{c.shortest, c.longest}, []int{shortest, longest}, c.pattern)
		compiled := regexp.MustCompile(c.pattern)
		matched := 0
		for _, text := range matching(c.pattern, 5) {
			if !compiled.MatchString(text) {
				continue
			}
			matched++
			n := utf8.RuneCountInString(text)
			require.True(t, n >= shortest && (longest < 0 || n <= longest), "%s matches %q", c.pattern, text)
		}
		require.NotZero(t, matched, c.pattern)
	}
}
