package api

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestHeadersOfPages(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	for _, path := range []string{"/", "/docs", "/problems", "/problems/internal"} {
		a := g.do(t, http.MethodGet, path, "", "Accept: text/html")
		for name, want := range map[string]string{
			"Content-Security-Policy": pagePolicy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": "",
		} {
			require.Equal(t, want, a.Header.Get(name), "%s %s", path, name)
		}
		require.Contains(t, a.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
		require.NotContains(t, a.Header.Get("Content-Security-Policy"), "unsafe")
	}
	for _, path := range []string{"/openapi.json", "/docs/assets/page.css", "/v1/event-types", "/v1/event-types/orders.placed/schema", "/nothing"} {
		require.Equal(t, "nosniff", g.do(t, http.MethodGet, path, "").Header.Get("X-Content-Type-Options"), path)
	}
}

func TestStrictTransport(t *testing.T) {
	t.Parallel()
	pair, roots := selfSigned(t)
	const year = "max-age=31536000"
	for name, c := range map[string]struct {
		with option
		want string
	}{
		"plain":             {func(*Config, *Catalog) {}, ""},
		"public by http":    {func(c *Config, _ *Catalog) { c.PublicURL = "http://events.example.com" }, ""},
		"public by https":   {func(c *Config, _ *Catalog) { c.PublicURL = "https://events.example.com" }, year},
		"a caller's header": {withProxies("192.0.2.0/24"), ""},
	} {
		g := start(t, accepting, c.with)
		require.Equal(t, c.want, g.do(t, http.MethodGet, "/", "", "X-Forwarded-Proto: https").Header.Get("Strict-Transport-Security"), name)
		require.Equal(t, c.want, g.post(t).Header.Get("Strict-Transport-Security"), name)
	}
	g := start(t, accepting, func(c *Config, _ *Catalog) {
		c.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	})
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + g.addr + "/")
	require.NoError(t, err)
	read(t, resp)
	require.Equal(t, year, resp.Header.Get("Strict-Transport-Security"))
}

// What depends on who asks is kept by no shared cache; what does not may be.
func TestCaching(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	asked, open := start(t, accepting, with), start(t, accepting)
	const none, own, fresh = "no-store", "private, no-cache", "no-cache"
	for path, want := range map[string]struct{ known, unknown, open string }{
		"/":                                    {none, none, ""},
		"/docs":                                {none, none, ""},
		"/openapi.json":                        {own, none, fresh},
		"/openapi.yaml":                        {own, none, fresh},
		"/asyncapi.json":                       {own, none, fresh},
		"/v1/event-types":                      {none, none, none},
		"/v1/event-types/orders.placed":        {none, none, none},
		"/v1/event-types/orders.placed/schema": {none, none, none},
		"/v1/receipts?idempotency_key=k":       {none, none, none},
		"/problems":                            {"", "", ""},
		"/docs/assets/page.css":                {fresh, fresh, fresh},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			a := asked.do(t, http.MethodGet, path, "", "Authorization: Bearer "+good)
			require.Equal(t, http.StatusOK, a.StatusCode)
			require.Equal(t, want.known, a.Header.Get("Cache-Control"))
			depends := want.known == none || want.known == own
			require.Equal(t, depends, varies(a, "Authorization"))
			if tag := a.Header.Get("ETag"); tag != "" {
				again := asked.do(t, http.MethodGet, path, "", "Authorization: Bearer "+good, "If-None-Match: "+tag)
				require.Equal(t, http.StatusNotModified, again.StatusCode)
				require.Equal(t, want.known, again.Header.Get("Cache-Control"))
			}
			a = asked.do(t, http.MethodGet, path, "")
			require.Equal(t, want.unknown, a.Header.Get("Cache-Control"))
			require.Equal(t, depends, varies(a, "Authorization"))
			a = open.do(t, http.MethodGet, path, "")
			require.Equal(t, want.open, a.Header.Get("Cache-Control"))
			require.False(t, varies(a, "Authorization"))
		})
	}
}

func varies(a answer, name string) bool {
	return strings.Contains(strings.Join(a.Header.Values("Vary"), ", "), name)
}

// A rebound name reaches nothing but webhooks, whose signature decides.
func TestOtherHostsAreRefused(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, withWebhooks(t), func(c *Config, _ *Catalog) {
		c.AllowsHost = func(host string) bool { return host == "gateway.example" }
	})
	ask := func(method, path, host string) answer {
		req, err := http.NewRequest(method, "http://"+g.addr+path, strings.NewReader("{}"))
		require.NoError(t, err)
		req.Host = host
		resp, err := g.client.Do(req)
		require.NoError(t, err)
		return read(t, resp)
	}
	for _, c := range []struct{ method, path string }{
		{http.MethodPost, "/v1/events/orders.placed"}, {http.MethodGet, "/"}, {http.MethodGet, "/docs"}, {http.MethodGet, "/v1/event-types"}, {http.MethodGet, "/openapi.json"}, {http.MethodGet, "/problems"},
	} {
		require.Less(t, ask(c.method, c.path, "gateway.example").StatusCode, 300, c.path)
		requireRefused(t, ask(c.method, c.path, "evil.example:8080"), event.Forbidden, `The Host header, "evil.example:8080", does not name this gateway. If programs reach it by this name, the operator adds the name to http.hosts`)
	}
	requireRefused(t, ask(http.MethodPost, "/v1/webhooks/stripe", "tunnel.example"), event.Unauthenticated, "")
}
