package compat

import (
	"math/rand/v2"
	"regexp"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/stretchr/testify/require"
)

// TestFormatsAreTheValidators holds what is known about formats to the library
// that asserts them.
func TestFormatsAreTheValidators(t *testing.T) {
	t.Parallel()
	known := 0
	for _, f := range knownFormats {
		for _, name := range append([]string{f.name}, f.aliases...) {
			known++
			check := jsonschema.Formats[name]
			require.NotNil(t, check, name)
			for _, text := range f.samples {
				require.True(t, check(text), "%s: %q", name, text)
				require.False(t, f.refuses(text), "%s: %q", name, text)
			}
			refused := 0
			for _, text := range texts() {
				if f.refuses(text) {
					require.False(t, check(text), "%s: %q", name, text)
					refused++
				}
			}
			require.NotZero(t, refused, name)
		}
	}
	require.Len(t, jsonschema.Formats, known, "the library knows other formats")
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
			require.NotEqual(t, Compatible, report.Backward, "%s to %s", f.name, other.name)
			requireWitnesses(t, report, directions(t, schema(f.name), schema(other.name), report), f.name+" to "+other.name)
		}
	}
}

// texts are samples of all formats, with and without a random change, and noise.
func texts() []string {
	r := rand.New(rand.NewPCG(3, 4))
	alphabet := []rune("aZ09 -+:./@%~\\#[]{}()PTé_\n")
	all := []string{"", "x", "http:\\\\a", "1:2", "fe80::1%eth0", "1.2.3.4.5", "01.2.3.4", "::ffff:1.2.3.4"}
	for _, f := range knownFormats {
		for _, sample := range f.samples {
			all = append(all, sample)
			for range 300 {
				changed := []rune(sample)
				for range 1 + r.IntN(3) {
					at := r.IntN(len(changed) + 1)
					c := alphabet[r.IntN(len(alphabet))]
					if r.IntN(2) == 0 && at < len(changed) {
						changed[at] = c
					} else {
						changed = append(changed[:at], append([]rune{c}, changed[at:]...)...)
					}
				}
				all = append(all, string(changed))
			}
		}
	}
	return all
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
