package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestDeleteBecomesATombstone(t *testing.T) {
	t.Parallel()
	set := typesOf(t, map[string]string{
		"customers.changed/v1.json": `{"x-event":{"key":"/id","tombstones":true,"headers":{"X-Tenant-Id":"tenant-id"}}}`,
	})
	for path, want := range map[string]string{ // key; "": refused
		"c-1":              "c-1",
		"c-1?version=v1":   "c-1",
		"a%2Fb":            "a/b",
		"a%3Ab:c":          "a:b:c",
		"%C3%BC%20%25":     "ü %",
		"%2525":            "%25",
		"c%2D1":            "c-1",
		"v1":               "v1",
		"50%":              "",
		"%zz":              "",
		"c-1?version=":     "",
		"c-1?version=&a=b": "",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			g := start(t, d, withCatalog(fixed{set}))
			w := g.dial(t) // no client that would tidy the path
			w.send(t, "DELETE /v1/events/customers.changed/"+path+" HTTP/1.1\r\nHost: gateway\r\nIdempotency-Key: k\r\nce-subject: s\r\nX-Tenant-Id: t1\r\nContent-Type: text/plain\r\n\r\n")
			a := w.answer(t)
			if want == "" {
				requireRefused(t, a, event.MalformedRequest, "")
				require.Empty(t, seen)
				return
			}
			require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
			r := <-seen
			require.Equal(t, want, *r.Tombstone)
			require.Equal(t, "customers.changed", r.Type)
			require.Equal(t, strings.Contains(path, "version=v1"), r.Version == "v1")
			require.Nil(t, r.Data)
			require.Empty(t, r.MediaType+r.ContentType)
			require.Equal(t, event.Identity{Kind: event.IdentityKey, Parts: []string{"k"}}, r.Identity)
			require.Equal(t, "s", r.Attributes.Subject)
			require.Equal(t, []event.Header{{Name: "tenant-id", Value: "t1"}}, r.Headers)
		})
	}
}

func TestDeleteRefused(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	d, seen := recording()
	g := start(t, d, with, withOrigins(shop))
	key := "Authorization: Bearer " + good
	const path = "/v1/events/orders.placed/o-1"
	requireRefused(t, g.do(t, http.MethodDelete, path, ""), event.Unauthenticated, "")
	requireRefused(t, g.do(t, http.MethodDelete, "/v1/events/payments.captured/p-1", "", key), event.Forbidden, "may not use")
	requireRefused(t, g.do(t, http.MethodDelete, "/v1/events/payments%2Ecaptured/p-1", "", key), event.Forbidden, "may not use")
	requireRefused(t, g.do(t, http.MethodDelete, "/v1/events/payments.no-such/p-1", "", key), event.Forbidden, "may not use")
	requireRefused(t, g.do(t, http.MethodDelete, path, `{"reason":"x"}`, key), event.MalformedRequest, "has no body")
	requireRefused(t, g.do(t, http.MethodDelete, path, "", key, "X-Idempotency-Key: k"), event.MalformedRequest, "Idempotency-Key")
	requireRefused(t, g.do(t, http.MethodDelete, path, "", key, "ce-type: orders.cancelled"), event.MalformedRequest, "differs")
	requireRefused(t, g.do(t, http.MethodDelete, path, "", key, "Origin: https://evil.example"), event.Forbidden, "another origin")
	require.Empty(t, seen)
	a := g.do(t, http.MethodDelete, "/v1/events/orders.placed", "", key)
	requireRefused(t, a, event.MethodNotAllowed, "DELETE")

	none := start(t, failing(event.Refuse(event.MethodNotAllowed, "No tombstones.")))
	a = none.do(t, http.MethodDelete, path, "")
	requireRefused(t, a, event.MethodNotAllowed, "No tombstones.")
	require.Equal(t, "POST", a.Header.Get("Allow"))
}

// Allow names DELETE where it is allowed, but not to strangers.
func TestAllowOfTombstones(t *testing.T) {
	t.Parallel()
	set := typesOf(t, map[string]string{
		"orders.kept/v1.json": `{"x-event":{"key":"/id"}}`, "orders.deletable/v1.json": `{"x-event":{"key":"/id","tombstones":true}}`,
	})
	with, _ := withAuth(t)
	open, closed := start(t, accepting, withCatalog(fixed{set})), start(t, accepting, withCatalog(fixed{set}), with)
	for eventType, want := range map[string]string{"orders.kept": "POST", "orders.deletable": "POST, DELETE", "orders%2Edeletable": "POST, DELETE", "no.such": "POST"} {
		a := open.do(t, http.MethodPut, "/v1/events/"+eventType+"/o-1", "")
		requireRefused(t, a, event.MethodNotAllowed, want)
		require.Equal(t, want, a.Header.Get("Allow"), eventType)
		require.Equal(t, "POST", closed.do(t, http.MethodPut, "/v1/events/"+eventType+"/o-1", "").Header.Get("Allow"), eventType)
	}
}

// A page of an allowed origin may delete, and asks first.
func TestPreflightOfDelete(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, withOrigins(shop))
	a := g.do(t, http.MethodOptions, "/v1/events/customers.changed/c-1", "", "Origin: "+shop, "Access-Control-Request-Method: DELETE")
	require.Equal(t, http.StatusNoContent, a.StatusCode)
	require.Equal(t, "DELETE", a.Header.Get("Access-Control-Allow-Methods"))
}

func TestRecordHeadersOfRequests(t *testing.T) {
	t.Parallel()
	set := typesOf(t, map[string]string{
		"orders.placed/v1.json": `{"x-event":{"key":null,"headers":["X-Old"]}}`,
		"orders.placed/v2.json": `{"x-event":{"key":null,"headers":{"X-Tenant-Id":"tenant-id","X-Shop":"shop","X-Third":"third"}}}`,
		"plain/v1.json":         `{"x-event":{"key":null}}`,
	})
	tenant := []event.Header{{Name: "tenant-id", Value: "t1"}}
	structured := "{" + context1 + `,"data":{}}`
	for name, c := range map[string]struct {
		path, body string
		headers    []string
		want       []event.Header
		refused    string
	}{
		"sent":               {"/v1/events/orders.placed", "{}", []string{"X-Tenant-Id: t1", "X-Other: o"}, tenant, ""},
		"name in capitals":   {"/v1/events/orders.placed", "{}", []string{"X-TENANT-ID: t1"}, tenant, ""},
		"not sent":           {"/v1/events/orders.placed", "{}", nil, []event.Header{}, ""},
		"sent empty":         {"/v1/events/orders.placed", "{}", []string{"X-Tenant-Id:"}, []event.Header{{Name: "tenant-id"}}, ""},
		"both, in order":     {"/v1/events/orders.placed", "{}", []string{"X-Tenant-Id: t1", "X-Shop: Käse"}, []event.Header{{Name: "shop", Value: "Käse"}, tenant[0]}, ""},
		"of the version":     {"/v1/events/orders.placed/v1", "{}", []string{"X-Old: o", "X-Tenant-Id: t1"}, []event.Header{{Name: "X-Old", Value: "o"}}, ""},
		"a type without":     {"/v1/events/plain", "{}", []string{"X-Tenant-Id: t1"}, nil, ""},
		"binary cloud event": {"/v1/events", "{}", []string{"X-Tenant-Id: t1", "ce-specversion: 1.0", "ce-id: 1", "ce-source: /s", "ce-type: orders.placed"}, tenant, ""},
		"structured":         {"/v1/events", structured, []string{"X-Tenant-Id: t1", structuredType}, tenant, ""},
		"each of a batch":    {"/v1/events", "[" + structured + "]", []string{"X-Tenant-Id: t1", batchType}, tenant, ""},
		"twice":              {"/v1/events/orders.placed", "{}", []string{"X-Tenant-Id: t1", "X-Tenant-Id: t2"}, nil, "X-Tenant-Id is there 2 times"},
		"too long":           {"/v1/events/orders.placed", "{}", []string{"X-Tenant-Id: " + strings.Repeat("t", 1025)}, nil, "has 1025 bytes"},
		"too much together":  {"/v1/events/orders.placed", "{}", []string{"X-Tenant-Id: " + strings.Repeat("t", 1024), "X-Shop: " + strings.Repeat("t", 1024)}, []event.Header{{Name: "shop", Value: strings.Repeat("t", 1024)}, {Name: "tenant-id", Value: strings.Repeat("t", 1024)}}, ""},
		"far too much":       {"/v1/events/orders.placed", "{}", []string{"X-Tenant-Id: " + strings.Repeat("t", 1024), "X-Shop: " + strings.Repeat("t", 1024), "X-Third: t"}, nil, "more than 2048 bytes together"},
		"not UTF-8":          {"/v1/events/orders.placed", "{}", []string{"X-Tenant-Id: \xff"}, nil, "must be UTF-8"},
		"too long, a batch":  {"/v1/events", structured, []string{"X-Tenant-Id: " + strings.Repeat("t", 1025), structuredType}, nil, "has 1025 bytes"},
		"a dry run says so":  {"/v1/event-types/orders.placed/validate", "{}", []string{"X-Tenant-Id: \xff"}, nil, "must be UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			w := start(t, d, withCatalog(fixed{set})).dial(t)
			lines := append([]string{"POST " + c.path + " HTTP/1.1", "Host: gateway", "Content-Length: " + itoa(len(c.body))}, c.headers...)
			w.send(t, strings.Join(lines, "\r\n")+"\r\n\r\n"+c.body)
			a := w.answer(t)
			if c.refused != "" {
				requireRefused(t, a, event.MalformedRequest, c.refused)
				require.Empty(t, seen)
				return
			}
			require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
			require.Equal(t, c.want, (<-seen).Headers)
		})
	}
}

// In a batch, a header that one type refuses concerns its events only.
func TestRecordHeadersOfABatch(t *testing.T) {
	t.Parallel()
	set := typesOf(t, map[string]string{
		"keeps/v1.json": `{"x-event":{"key":null,"headers":["X-Tenant-Id"]}}`,
		"plain/v1.json": `{"x-event":{"key":null}}`,
	})
	d, seen := recording()
	g := start(t, d, withCatalog(fixed{set}))
	item := func(eventType string) string {
		return `{"specversion":"1.0","id":"` + eventType + `","source":"/s","type":"` + eventType + `","data":{}}`
	}
	a := g.do(t, http.MethodPost, "/v1/events", "["+item("keeps")+","+item("plain")+"]", batchType, "X-Tenant-Id: "+strings.Repeat("t", 1025))
	require.Equal(t, http.StatusMultiStatus, a.StatusCode)
	require.Contains(t, string(a.body), "has 1025 bytes")
	require.Equal(t, "plain", (<-seen).Type)
	require.Empty(t, seen)
}

func TestEventTypeSaysWhatItKeeps(t *testing.T) {
	t.Parallel()
	set := typesOf(t, map[string]string{"t/v1.json": `{"x-event":{"key":"/id","tombstones":true,"headers":{"X-Tenant-Id":"tenant-id"}}}`})
	g := start(t, accepting, withCatalog(fixed{set}))
	a := g.do(t, http.MethodGet, "/v1/event-types/t", "")
	require.Contains(t, string(a.body), `"headers":{"X-Tenant-Id":"tenant-id"},"tombstones":true`)
	openAPI(t).requireDocumented(t, "GET /v1/event-types/{type}", a)
	require.NotContains(t, string(start(t, accepting).do(t, http.MethodGet, "/v1/event-types/orders.placed", "").body), `"headers"`)
}
