package api

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/auth"
)

// What a caller may not know, no answer tells: neither by what it says nor by how long
// it takes. Times are medians of requests that take turns, so that whatever else the
// machine does concerns all kinds.
func TestNothingCanBeEnumerated(t *testing.T) {
	t.Parallel()
	const rounds = 300
	key := func(expires time.Time) (string, auth.Key) {
		text, hashed := auth.NewKey()
		hash, ok := auth.ParseHash(hashed)
		require.True(t, ok)
		return "Authorization: Bearer " + text, auth.Key{Hash: hash, Expires: expires}
	}
	good, goodKey := key(time.Time{})
	expired, expiredKey := key(time.Now().Add(-time.Hour))
	unknown, _ := key(time.Time{})
	a, err := auth.New(t.Context(), auth.Config{Clients: []auth.Client{{Name: "web", Keys: []auth.Key{goodKey, expiredKey}, Events: []string{"nothing.*"}}}}, nil)
	require.NoError(t, err)
	g := start(t, accepting, func(c *Config, _ *Catalog) { c.Auth = a })

	type request struct{ path, header string }
	for name, kinds := range map[string][]request{
		"keys": {
			{"/v1/events/orders.placed", unknown},
			{"/v1/events/orders.placed", expired},
			{"/v1/events/orders.placed", good[:len(good)-1] + strings.Trim("AB", good[len(good)-1:])[:1]},
		},
		"event types": {
			{"/v1/events/orders.placed", good},
			{"/v1/events/orders.plaecd", good},
		},
	} {
		t.Run(name, func(t *testing.T) {
			took := make([][]time.Duration, len(kinds))
			first := g.do(t, http.MethodPost, kinds[0].path, "{}", kinds[0].header)
			require.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, first.StatusCode)
			for range rounds {
				for _, i := range rand.Perm(len(kinds)) {
					begun := time.Now()
					answer := g.do(t, http.MethodPost, kinds[i].path, "{}", kinds[i].header)
					took[i] = append(took[i], time.Since(begun))
					require.Equal(t, first.StatusCode, answer.StatusCode)
					require.Equal(t, string(first.body), string(answer.body))
				}
			}
			medians := make([]time.Duration, len(kinds))
			for i, times := range took {
				slices.Sort(times)
				medians[i] = times[rounds/2]
			}
			t.Logf("medians: %v", medians)
			require.Less(t, float64(slices.Max(medians)), 1.5*float64(slices.Min(medians)))
		})
	}
}
