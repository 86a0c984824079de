package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/auth"
	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/schema"
)

// planning answers as the real door does before it asks the store.
func planning(set *schema.Set) door {
	return func(r ingest.Request) (ingest.Result, error) {
		if plan := ingest.NewPlan(set, &r); plan.Problem != nil {
			return ingest.Result{}, plan.Problem
		}
		return accepting(r)
	}
}

// requireOthersHidden fails if a text names an event type that a client with orders.*
// may not use.
func requireOthersHidden(t *testing.T, text string) {
	t.Helper()
	for _, each := range samples(t).Names() {
		if !strings.HasPrefix(each, "orders.") {
			require.NotContains(t, text, each)
		}
	}
}

// What a client may not see does not exist for it: no route names it, whatever is asked.
func TestOtherTypesAreNeverNamed(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	g := start(t, planning(samples(t)), with, withWebhooks(t))
	key := "Authorization: Bearer " + good
	for _, missing := range []string{"orders.zzz", "orders.plcaed", "orders."} {
		one := `{"specversion":"1.0","id":"1","source":"/s","type":"` + missing + `","data":{}}`
		for _, c := range []struct{ method, path, body, contentType string }{
			{http.MethodPost, "/v1/events/" + missing, "{}", anyType},
			{http.MethodPost, "/v1/events/" + missing + "/v1", "{}", anyType},
			{http.MethodDelete, "/v1/events/" + missing + "/k", "", anyType},
			{http.MethodPost, "/v1/event-types/" + missing + "/validate", "{}", anyType},
			{http.MethodGet, "/v1/event-types/" + missing, "", anyType},
			{http.MethodGet, "/v1/event-types/" + missing + "/schema", "", anyType},
			{http.MethodGet, "/openapi.json?type=" + missing, "", anyType},
			{http.MethodPost, "/v1/events", one, structuredType},
		} {
			a := g.do(t, c.method, c.path, c.body, key, c.contentType)
			requireRefused(t, a, event.UnknownEventType, "orders.placed")
			requireOthersHidden(t, string(a.body))
		}
		keyed := g.do(t, http.MethodPost, "/v1/events/"+missing, "{}", key, "Idempotency-Key: k")
		requireRefused(t, keyed, event.UnknownEventType, "orders.placed")
		requireOthersHidden(t, string(keyed.body))
		batch := g.do(t, http.MethodPost, "/v1/events", "["+one+"]", key, batchType)
		require.Equal(t, http.StatusMultiStatus, batch.StatusCode)
		requireOthersHidden(t, string(batch.body))
	}
	for _, path := range []string{"/", "/docs", "/openapi.json", "/openapi.json?type=", "/openapi.yaml", "/asyncapi.json", "/v1/event-types"} {
		for _, accept := range []string{"Accept: text/html", anyType} {
			a := g.do(t, http.MethodGet, path, "", key, accept)
			require.Equal(t, http.StatusOK, a.StatusCode)
			for _, each := range []string{"payments.captured", "metrics.page-viewed"} { // the documents' examples name others
				if strings.Contains(path, "openapi") {
					require.NotContains(t, string(a.body), `"/v1/events/`+each+`":`)
					require.NotContains(t, string(a.body), "\n  /v1/events/"+each+":")
				} else {
					require.NotContains(t, string(a.body), each)
				}
			}
		}
	}
}

// A provider learns nothing of the event types either.
func TestWebhooksAreToldNoTypes(t *testing.T) {
	t.Parallel()
	g := start(t, planning(samples(t)), withWebhooks(t))
	a := deliver(t, g, "shop", `{"id":"1","type":"nothing"}`)
	requireRefused(t, a, event.UnknownEventType, "There is no event type \"shop.nothing\".")
	for _, each := range samples(t).Names() {
		require.NotContains(t, string(a.body), each)
	}
}

// In a batch, an unknown type costs no search for similar names, however many there are.
func TestBatchesGetNoSuggestions(t *testing.T) {
	t.Parallel()
	set := samples(t)
	g := start(t, planning(set))
	one := `{"specversion":"1.0","id":"%d","source":"/s","type":"orders.plcaed","data":{}}`
	var items []string
	for i := range 100 {
		items = append(items, fmt.Sprintf(one, i))
	}
	a := g.do(t, http.MethodPost, "/v1/events", "["+strings.Join(items, ",")+"]", batchType)
	require.Equal(t, http.StatusMultiStatus, a.StatusCode)
	require.NotContains(t, string(a.body), "orders.placed")
	requireRefused(t, g.do(t, http.MethodPost, "/v1/events", items[0]+"", structuredType), event.UnknownEventType, "did you mean orders.placed?")
}

// Documents are made once for callers that see the same, whatever their grants look like
// and however many callers there are.
func TestDocumentsAreMadeOnce(t *testing.T) {
	t.Parallel()
	const callers = 3 * maxViews / 2
	set := samples(t)
	base, err := theBase()
	require.NoError(t, err)
	v := views{base: base}
	for range 2 {
		for i := range callers {
			caller := granted(t, "orders.*", fmt.Sprintf("nothing.here-%d", i))
			own := v.get(set, caller)
			for _, get := range []func() (file, error){own.openJSON, own.openYAML, own.async, own.list, func() (file, error) { return own.openOne("orders.placed") }} {
				_, err := get()
				require.NoError(t, err)
			}
			_, err := own.landing(fmt.Sprintf("http://host-%d", i), true)
			require.NoError(t, err)
		}
	}
	require.Equal(t, 6, v.made.count)
	require.LessOrEqual(t, len(v.byGrants), maxViews)

	page, err := v.get(set, granted(t, "*")).landing("http://a.example", true)
	require.NoError(t, err)
	require.Contains(t, string(page), "curl -i http://a.example/v1/events/payments.captured")
	require.NotContains(t, string(page), originMark)
	require.Equal(t, 7, v.made.count)

	other, err := schema.Load("../../schemas")
	require.NoError(t, err)
	require.NotSame(t, v.get(set, granted(t, "*")), v.get(other, granted(t, "*")), "after a reload, everything is made anew")
}

// More than fits drops what nobody asked for, not everything.
func TestMadeFilesAreBounded(t *testing.T) {
	t.Parallel()
	m := newMade(10 * (1000 + perFile))
	build := func() (file, error) { return file{plain: make([]byte, 1000)}, nil }
	for i := range 100 {
		_, err := m.get("popular", build)
		require.NoError(t, err)
		_, err = m.get(fmt.Sprint(i), build)
		require.NoError(t, err)
		require.LessOrEqual(t, m.size, m.limit)
	}
	require.Equal(t, 101, m.count, "what is asked for stays")
	require.Len(t, m.byName, 10)
	_, err := m.get("larger than all", func() (file, error) { return file{plain: make([]byte, 1<<20)}, nil })
	require.NoError(t, err)
	require.LessOrEqual(t, m.size, m.limit)
}

// granted is a caller that may use event types of these patterns.
func granted(t *testing.T, patterns ...string) *auth.Caller {
	t.Helper()
	key, text := auth.NewKey()
	hash, _ := auth.ParseHash(text)
	a, err := auth.New(t.Context(), auth.Config{Clients: []auth.Client{{Name: "one", Keys: []auth.Key{{Hash: hash}}, Events: patterns}}}, nil)
	require.NoError(t, err)
	caller, err := a.Authenticate(t.Context(), auth.Credentials{Authorization: []string{"Bearer " + key}}, time.Now())
	require.NoError(t, err)
	return caller
}
