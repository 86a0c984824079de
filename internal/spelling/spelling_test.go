package spelling

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	keys := []string{"listen", "public_url", "body_limit", "read_timeout"}
	for name, want := range map[string]struct {
		best  string
		edits int
	}{
		"body_limit":                       {"body_limit", 0},
		"bodyLimit":                        {"body_limit", 0},
		"READ-TIME-OUT":                    {"read_timeout", 0},
		"lisen":                            {"listen", 1},
		"publik_uri":                       {"public_url", 2},
		strings.Repeat("x", maxLength+1):   {"", maxLength},
		"körper_limit":                     {"body_limit", 6},
		strings.Repeat("x", maxLength-1):   {"listen", maxLength - 1},
		"listen" + strings.Repeat("x", 10): {"listen", 10},
	} {
		best, edits := Nearest(name, keys)
		require.Equal(t, want.edits, edits, name)
		require.Equal(t, want.best, best, name)
	}
	best, _ := Nearest("a", nil)
	require.Empty(t, best)
}

func TestSimilar(t *testing.T) {
	t.Parallel()
	types := []string{"orders.placed", "orders.paid", "orders", "payments.settled", "id", strings.Repeat("y", maxLength+1)}
	for name, want := range map[string][]string{
		"Orders.Placed":                {"orders.placed", "orders.paid", "orders"},
		"order.placed":                 {"orders.placed"},
		"orders.pald":                  {"orders.paid", "orders.placed", "orders"},
		"pay":                          {"payments.settled"},
		"if":                           {"id"},
		"refunds":                      nil,
		"":                             nil,
		strings.Repeat("y", maxLength): nil,
	} {
		require.Equal(t, want, Similar(name, types), name)
	}
}
