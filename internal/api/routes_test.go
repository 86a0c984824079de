package api

import (
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestMethodsThatAPathDoesNotHave(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	for path, c := range map[string]struct {
		allow   string
		methods []string // refused
	}{
		"/v1/events/orders.placed":             {"POST", []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}},
		"/v1/events":                           {"POST, OPTIONS", []string{"GET", "HEAD", "PUT", "DELETE"}},
		"/v1/event-types":                      {"GET, HEAD", []string{"POST", "PUT", "DELETE", "OPTIONS"}},
		"/v1/event-types/orders.placed":        {"GET, HEAD", []string{"POST", "OPTIONS"}},
		"/v1/event-types/orders.placed/schema": {"GET, HEAD", []string{"PUT", "OPTIONS"}},
		"/problems":                            {"GET, HEAD", []string{"POST", "OPTIONS"}},
		"/problems/internal":                   {"GET, HEAD", []string{"DELETE", "OPTIONS"}},
		"/openapi.yaml":                        {"GET, HEAD", []string{"POST", "OPTIONS"}},
		"/":                                    {"GET, HEAD", []string{"POST", "OPTIONS"}},
		"/docs":                                {"GET, HEAD", []string{"POST", "OPTIONS"}},
		"/v1/events/orders.placed/v1":          {"POST", []string{"GET", "PUT", "OPTIONS"}},
	} {
		for _, method := range c.methods {
			t.Run(method+" "+path, func(t *testing.T) {
				t.Parallel()
				a := g.do(t, method, path, "")
				require.Equal(t, http.StatusMethodNotAllowed, a.StatusCode)
				require.Equal(t, c.allow, a.Header.Get("Allow"))
				if method != http.MethodHead {
					requireRefused(t, a, event.MethodNotAllowed, method+" is not allowed here; allowed is: "+c.allow)
				}
			})
		}
	}
}

func TestPathsThatDoNotExist(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	for _, path := range []string{
		"/v1", "/v1/", "/v1/events/", "/v1/events/a/b/c", "/docs/", "/docs/assets/../docs.html", "/docs/assets/no.such", "/v1/events/orders.placed/", "/V1/event-types",
		"/v1/event-types/", "/v1/event-types/orders.placed/schema/", "/problems/", "/openapi", "/metrics", "/livez",
		"/problems/no-such-problem", "/problems/%3Cscript%3E", "/%00",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			a := g.do(t, http.MethodGet, path, "")
			requireRefused(t, a, event.NotFound, "")
			require.NotContains(t, string(a.body), "script")
		})
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	for _, path := range []string{
		"/v1/event-types", "/v1/event-types/orders.placed", "/v1/event-types/orders.placed/schema", "/problems",
		"/problems/internal", "/openapi.json", "/openapi.yaml", "/asyncapi.json", "/", "/docs", "/docs/assets/page.css",
		"/v1/event-types/no.such", "/nowhere",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			get, head := g.do(t, http.MethodGet, path, ""), g.do(t, http.MethodHead, path, "")
			require.Equal(t, get.StatusCode, head.StatusCode)
			require.Empty(t, head.body)
			require.EqualValues(t, len(get.body), head.ContentLength)
			require.Equal(t, get.Header.Get("Content-Type"), head.Header.Get("Content-Type"))
		})
	}
}

func TestEventTypes(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)

	list := g.do(t, http.MethodGet, "/v1/event-types", "")
	require.Equal(t, http.StatusOK, list.StatusCode)
	require.Equal(t, "application/json", list.Header.Get("Content-Type"))
	for _, name := range samples(t).Types() {
		require.Contains(t, string(list.body), `"type":"`+name.Name+`"`)
	}

	one := g.do(t, http.MethodGet, "/v1/event-types/payments.captured", "")
	require.Equal(t, http.StatusOK, one.StatusCode)
	require.Contains(t, string(one.body), `"idempotency":"required"`)
	require.Contains(t, string(one.body), `"key":["/paymentId"]`)
	require.Contains(t, string(one.body), `"versions":["v1","v2"]`)
	require.Contains(t, string(one.body), `"newest":"v2"`)
	require.Contains(t, string(one.body), `"examples":[{"paymentId":"p-5522"`)

	keyless := g.do(t, http.MethodGet, "/v1/event-types/metrics.page-viewed", "")
	require.Contains(t, string(keyless.body), `"key":null`)

	for version, file := range map[string]string{"": "v2.json", "?version=v1": "v1.json", "?version=v2": "v2.json"} {
		want, err := os.ReadFile("../../schemas/payments.captured/" + file)
		require.NoError(t, err)
		got := g.do(t, http.MethodGet, "/v1/event-types/payments.captured/schema"+version, "")
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, "application/schema+json", got.Header.Get("Content-Type"))
		require.Equal(t, string(want), string(got.body), "the schema must come as it is")
	}

	for _, path := range []string{"/v1/event-types/no.such", "/v1/event-types/no.such/schema"} {
		requireRefused(t, g.do(t, http.MethodGet, path, ""), event.UnknownEventType, "no.such")
	}
}
