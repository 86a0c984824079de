package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"eventgateway/internal/auth"
)

// What a caller may not know, no answer tells: neither by what it says nor by how long
// it takes. Time on a busy machine proves nothing, so allocations are compared, which
// are counted for the whole process: the test does not run in parallel with others.
// BenchmarkEnumeration has the times.
func TestNothingCanBeEnumerated(t *testing.T) {
	g, kinds := enumeration(t)
	for name, requests := range kinds {
		t.Run(name, func(t *testing.T) {
			first := g.do(t, http.MethodPost, requests[0].path, "{}", requests[0].header)
			require.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, first.StatusCode)
			work := g.allocations(requests[0])
			for _, r := range requests[1:] {
				answer := g.do(t, http.MethodPost, r.path, "{}", r.header)
				require.Equal(t, first.StatusCode, answer.StatusCode)
				require.Equal(t, string(first.body), string(answer.body))
				require.InDelta(t, work, g.allocations(r), 1, r.name)
			}
		})
	}
}

func BenchmarkEnumeration(b *testing.B) {
	g, kinds := enumeration(b)
	for _, requests := range kinds {
		for _, r := range requests {
			b.Run(r.name, func(b *testing.B) {
				for b.Loop() {
					g.handle(r)
				}
			})
		}
	}
}

type guess struct{ name, path, header string }

// allocations returns how often answering r allocates on average. Many runs: the race
// detector empties pools at random.
func (g *gateway) allocations(r guess) float64 {
	return testing.AllocsPerRun(3000, func() { g.handle(r) })
}

// handle answers a guess without the network.
func (g *gateway) handle(r guess) {
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod(http.MethodPost)
	ctx.Request.SetRequestURI(r.path)
	ctx.Request.Header.Set("Authorization", strings.TrimPrefix(r.header, "Authorization: "))
	g.app.Handler()(&ctx)
}

// enumeration returns a gateway, and guesses that it must not tell apart.
func enumeration(t testing.TB) (*gateway, map[string][]guess) {
	t.Helper()
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

	const orders, misspelt = "/v1/events/orders.placed", "/v1/events/orders.plaecd"
	wrong := good[:len(good)-1] + strings.Trim("AB", good[len(good)-1:])[:1]
	return g, map[string][]guess{
		"keys":        {{"unknown key", orders, unknown}, {"expired key", orders, expired}, {"wrong key", orders, wrong}},
		"event types": {{"forbidden type", orders, good}, {"no such type", misspelt, good}},
	}
}
