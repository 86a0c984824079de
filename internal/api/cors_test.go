package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

const shop = "https://shop.example"

func withOrigins(origins ...string) option {
	return func(c *Config, _ *Catalog) { c.Origins = origins }
}

func withOriginHeaders(names ...string) option {
	return func(c *Config, _ *Catalog) { c.Origins, c.OriginHeaders = []string{shop}, names }
}

// corsHeaders are all that an answer has.
func corsHeaders(h http.Header) map[string]string {
	found := map[string]string{}
	for name := range h {
		if short, ok := strings.CutPrefix(name, "Access-Control-"); ok {
			found[short] = h.Get(name)
		}
	}
	return found
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	one, any, none := withOrigins("https://other.example", shop), withOrigins("*"), withOrigins()
	permission := func(origin, method, headers string) map[string]string {
		p := map[string]string{"Allow-Origin": origin, "Allow-Methods": method, "Max-Age": "600"}
		if headers != "" {
			p["Allow-Headers"] = headers
		}
		return p
	}
	for name, c := range map[string]struct {
		with           option
		origin         string
		path           string
		method         string // asked for
		headers        string // asked for
		status         int
		want           map[string]string
		beingHandshake bool
	}{
		"allowed": {
			one, shop, "/v1/events/orders.placed", "POST", "authorization,content-type,idempotency-key,ce-id,ce-shop2", 204,
			permission(shop, "POST", "authorization, content-type, idempotency-key, ce-id, ce-shop2"), false,
		},
		"no headers":    {one, shop, "/v1/events/orders.placed/v1", "POST", "", 204, permission(shop, "POST", ""), false},
		"other headers": {one, shop, "/v1/events", "POST", "X-Forwarded-For, traceparent, ce-, ce-a_b, cookie", 204, permission(shop, "POST", "traceparent"), false},
		"tracing of browsers": {
			one, shop, "/v1/events", "POST", "Baggage, sentry-trace, traceparent, tracestate, x-api-key, content-encoding", 204,
			permission(shop, "POST", "baggage, sentry-trace, traceparent, tracestate, x-api-key, content-encoding"), false,
		},
		"configured headers":   {withOriginHeaders("X-Tenant-Id"), shop, "/v1/events", "POST", "x-tenant-id, x-tenant, content-type", 204, permission(shop, "POST", "x-tenant-id, content-type"), false},
		"all headers":          {withOriginHeaders("*"), shop, "/v1/events", "POST", "X-Any, ce-id, a b", 204, permission(shop, "POST", "x-any, ce-id"), false},
		"an app":               {withOrigins("capacitor://localhost"), "capacitor://localhost", "/v1/events", "POST", "content-type", 204, permission("capacitor://localhost", "POST", "content-type"), false},
		"an extension":         {withOrigins("chrome-extension://abcdefgh"), "chrome-extension://abcdefgh", "/v1/events", "POST", "", 204, permission("chrome-extension://abcdefgh", "POST", ""), false},
		"another app":          {withOrigins("capacitor://localhost"), "ionic://localhost", "/v1/events", "POST", "", 204, map[string]string{}, false},
		"path percent-encoded": {one, shop, "/%76%31/events", "POST", "", 204, permission(shop, "POST", ""), false},
		"where handshakes are": {one, shop, "/v1/events", "POST", "content-type", 204, permission(shop, "POST", "content-type"), false},
		"a receipt":            {one, shop, "/v1/receipts", "GET", "authorization", 204, permission(shop, "GET", "authorization"), false},
		"head":                 {one, shop, "/v1/event-types", "HEAD", "", 204, permission(shop, "HEAD", ""), false},
		"another origin":       {one, "https://evil.example", "/v1/events", "POST", "content-type", 204, map[string]string{}, false},
		"origin with a suffix": {one, shop + ".evil.example", "/v1/events", "POST", "", 204, map[string]string{}, false},
		"origin by http":       {one, "http://shop.example", "/v1/events", "POST", "", 204, map[string]string{}, false},
		"null":                 {one, "null", "/v1/events", "POST", "", 204, map[string]string{}, false},
		"no such method":       {one, shop, "/v1/events/orders.placed", "PUT", "", 405, map[string]string{"Allow-Origin": shop, "Expose-Headers": readableHeaders}, false},
		"no such path":         {one, shop, "/v1/nothing", "GET", "", 404, map[string]string{"Allow-Origin": shop, "Expose-Headers": readableHeaders}, false},
		"empty parameter":      {one, shop, "/v1/events/", "POST", "", 404, map[string]string{"Allow-Origin": shop, "Expose-Headers": readableHeaders}, false},
		"any origin":           {any, shop, "/v1/events", "POST", "content-type", 204, permission("*", "POST", "content-type"), false},
		"not configured":       {none, shop, "/v1/events/orders.placed", "POST", "", 405, map[string]string{}, false},
		"a handshake":          {one, shop, "/v1/events", "", "", 200, map[string]string{"Allow-Origin": shop, "Expose-Headers": readableHeaders}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, accepting, c.with)
			headers := []string{"Origin: " + c.origin, "WebHook-Request-Origin: " + c.origin}
			if c.method != "" {
				headers = append(headers, "Access-Control-Request-Method: "+c.method)
			}
			if c.headers != "" {
				headers = append(headers, "Access-Control-Request-Headers: "+c.headers)
			}
			a := g.do(t, http.MethodOptions, c.path, "", headers...)
			require.Equal(t, c.status, a.StatusCode)
			require.Equal(t, c.want, corsHeaders(a.Header))
			require.Equal(t, c.beingHandshake, a.Header.Get("WebHook-Allowed-Origin") != "")
		})
	}
}

func TestAnswersToPages(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	seenByPages := map[string]string{"Allow-Origin": shop, "Expose-Headers": "Idempotent-Replayed, Idempotency-Status, Retry-After, RateLimit, RateLimit-Policy"}
	g := start(t, accepting, with, withOrigins(shop), withBodyLimit(1024))
	who := "Authorization: Bearer " + good
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
	}{
		"receipt":          {"POST", "/v1/events/orders.placed", "{}", []string{who}, 202},
		"unauthenticated":  {"POST", "/v1/events/orders.placed", "{}", nil, 401},
		"problem":          {"POST", "/v1/events/orders.nothing", "{}", []string{who}, 404},
		"event types":      {"GET", "/v1/event-types", "", []string{who}, 200},
		"no such path":     {"GET", "/nothing", "", nil, 404},
		"too large a body": {"POST", "/v1/events/orders.placed", strings.Repeat(" ", 2048), []string{who}, 413},
	} {
		a := g.do(t, c.method, c.path, c.body, append(c.headers, "Origin: "+shop, "Sec-Fetch-Site: cross-site")...)
		require.Equal(t, c.status, a.StatusCode, name)
		require.Equal(t, seenByPages, corsHeaders(a.Header), name)
		require.Contains(t, a.Header.Values("Vary")[0], "Origin", name)
		a = g.do(t, c.method, c.path, c.body, c.headers...)
		require.Equal(t, c.status, a.StatusCode, name)
		require.Empty(t, corsHeaders(a.Header), name)
		require.Contains(t, strings.Join(a.Header.Values("Vary"), ", "), "Origin", "%s: caches must tell them apart", name)
	}
}

// A page that may not call may not publish blindly either: forms and typeless bodies
// need no preflight.
func TestPagesOfOtherOriginsCannotPost(t *testing.T) {
	t.Parallel()
	const evil = "Origin: https://evil.example"
	for name, c := range map[string]struct {
		path    string
		headers []string
		refused bool
	}{
		"a program":                      {"/v1/events/orders.placed", nil, false},
		"a page of the gateway":          {"/v1/events/orders.placed", []string{"Origin: http://HOST", "Sec-Fetch-Site: same-origin"}, false},
		"such a page, old browser":       {"/v1/events/orders.placed", []string{"Origin: http://HOST"}, false},
		"such a page, by its public URL": {"/v1/events/orders.placed", []string{"Origin: https://events.example.com"}, false},
		"an allowed page":                {"/v1/events/orders.placed", []string{"Origin: " + shop, "Sec-Fetch-Site: cross-site"}, false},
		"typed into the browser":         {"/v1/events/orders.placed", []string{"Sec-Fetch-Site: none"}, false},
		"another page":                   {"/v1/events/orders.placed", []string{evil, "Sec-Fetch-Site: cross-site"}, true},
		"another page, old browser":      {"/v1/events/orders.placed", []string{evil}, true},
		"another page's cloud event":     {"/v1/events", []string{evil}, true},
		"another page's dry run":         {"/v1/event-types/orders.placed/validate", []string{evil}, true},
		"an app with the gateway's host": {"/v1/events/orders.placed", []string{"Origin: capacitor://HOST"}, true},
		"a sandboxed page":               {"/v1/events/orders.placed", []string{"Origin: null"}, true},
		"a sister site":                  {"/v1/events/orders.placed", []string{"Origin: https://sister.example.com", "Sec-Fetch-Site: same-site"}, true},
		"a page that hides its origin":   {"/v1/events/orders.placed", []string{"Sec-Fetch-Site: cross-site"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			g := start(t, d, withOrigins(shop), func(c *Config, _ *Catalog) { c.PublicURL = "https://events.example.com" })
			for i, header := range c.headers {
				c.headers[i] = strings.ReplaceAll(header, "HOST", g.addr)
			}
			a := g.do(t, http.MethodPost, c.path, "{}", c.headers...)
			if !c.refused {
				require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
				return
			}
			requireRefused(t, a, event.Forbidden, "another origin")
			require.Empty(t, corsHeaders(a.Header))
			require.Empty(t, seen)
			require.Contains(t, g.log.String(), `"reason":"other-origin"`)
		})
	}
	g := start(t, accepting, withWebhooks(t))
	a := g.do(t, http.MethodPost, "/v1/webhooks/stripe", "{}", evil)
	require.Equal(t, http.StatusUnauthorized, a.StatusCode, "its signature decides")
}
