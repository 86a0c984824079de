package event

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMatchesPattern(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"a", "a", true},
		{"a", "ab", false},
		{"*", "", true},
		{"a*", "abc", true},
		{"*c", "abc", true},
		{"a*c", "abc", true},
		{"a*c", "ac", true},
		{"a*b*c", "a-b-c", true},
		{"a*b*c", "acb", false},
		{"ab*ba", "aba", false},
		{"*.*", "a.b", true},
		{"", "", true},
		{"", "a", false},
	} {
		require.Equal(t, c.want, MatchesPattern(c.pattern, c.text), "%s %s", c.pattern, c.text)
	}
}
