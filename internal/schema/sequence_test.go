package schema

import (
	"regexp"
	"regexp/syntax"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	sequencePatterns = []string{
		`^[A-Z]{3}$`, `^[a-z0-9-]{1,63}$`, `^\d{4}-\d{2}$`, `^o-[0-9]+$`, `^[^@]+@[^@]+$`, `^a?b*c+$`, `^.{1,500}$`, `^[^\n]*$`, `^\p{Greek}+é*$`, `^(?s).*$`, `^a{0}b$`, `^x{2,}y?$`,
	}
	otherPatterns = []string{`^a*a$`, `a`, `^a`, `a$`, `^a|b$`, `^(a|b)*$`, `(?i)^a$`, `^a?b?a$`, `(?m)^a$`, `^\w+\d$`, ``, `^$`, `^(ab)*$`, `^a\b$`}
	sequenceTexts = []string{
		"", "a", "b", "c", "abc", "ABC", "ABCD", "AB", "abbbccc", "bc", "aab", "2026-01", "2026-013", "o-", "o-12", "x@y", "x@y@z", "@", "é", "ééa", "Aé", "\n", "a\n", "xx", "xxxy", "xyx", "日本", "�",
	}
)

func TestSequences(t *testing.T) {
	t.Parallel()
	for _, text := range sequencePatterns {
		p := newPattern(regexp.MustCompile(text))
		require.NotNil(t, p.sequence, text)
		for _, each := range sequenceTexts {
			require.Equal(t, p.MatchString(each), p.matches(each), "%s at %q", text, each)
		}
	}
	for _, text := range otherPatterns {
		require.Nil(t, newPattern(regexp.MustCompile(text)).sequence, text)
	}
}

// Go's regexp does not say so, but knows which expressions have one way to read a text.
func TestOnePassIsFound(t *testing.T) {
	t.Parallel()
	require.True(t, isOnePass(regexp.MustCompile(`^(?:ab|c)*$`)))
	require.False(t, isOnePass(regexp.MustCompile(`(?:ab|a)*c`)))
}

func FuzzSequence(f *testing.F) {
	for _, text := range append(sequencePatterns, otherPatterns...) {
		for _, each := range sequenceTexts {
			f.Add(text, each)
		}
	}
	f.Fuzz(func(t *testing.T, text, data string) {
		tree, err := syntax.Parse(text, syntax.Perl)
		if err != nil || len(text) > 50 {
			return
		}
		if s := newSequence(tree); s != nil {
			require.Equal(t, regexp.MustCompile(text).MatchString(data), s.matches(data), "%s at %q", text, data)
		}
	})
}
