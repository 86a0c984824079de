package auth

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPatterns(t *testing.T) {
	t.Parallel()
	for pattern, c := range map[string]struct{ yes, no []string }{
		"orders.placed": {[]string{"orders.placed"}, []string{"", "orders.placed2", "xorders.placed", "Orders.placed", "orders"}},
		"orders.*":      {[]string{"orders.placed", "orders.", "orders.a.b"}, []string{"orders", "xorders.placed", "order.placed"}},
		"*":             {[]string{"", "anything", "a.b"}, nil},
		"**":            {[]string{"", "anything"}, nil},
		"*.placed":      {[]string{"orders.placed", ".placed", "a.b.placed"}, []string{"placed", "orders.placed2"}},
		"a*b*c":         {[]string{"abc", "aXbYc", "abbc", "abcbc"}, []string{"ac", "acb", "abcd", "ab"}},
		"a*a":           {[]string{"aa", "aba"}, []string{"a"}},
		"orders.*.v*":   {[]string{"orders.x.v1", "orders..v", "orders.v.v"}, []string{"orders.v1", "orders.x"}},
	} {
		caller := &Caller{events: parsePatterns([]string{pattern})}
		for _, name := range c.yes {
			require.True(t, caller.May(name), "%s has %q", pattern, name)
		}
		for _, name := range c.no {
			require.False(t, caller.May(name), "%s has not %q", pattern, name)
		}
	}
}

func TestWhatIsNoPatternGrantsNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a b", "orders/*", "[a]", "a?", "ö", "a\n", strings.Repeat("a", 201)} {
		require.False(t, ValidPattern(text), text)
		require.False(t, (&Caller{events: parsePatterns([]string{text})}).May(text), text)
	}
	require.False(t, (&Caller{}).May("orders.placed"), "no grant, no event")
}

func TestGrants(t *testing.T) {
	t.Parallel()
	one := &Caller{Name: "a", events: parsePatterns([]string{"b", "a.*", "b"})}
	other := &Caller{Name: "b", events: parsePatterns([]string{"a.*", "b"})}
	require.Equal(t, "a.* b", one.Grants())
	require.Equal(t, one.Grants(), other.Grants(), "callers that may publish the same see the same")
	require.True(t, Anonymous().May("whatever"))
}
