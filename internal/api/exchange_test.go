package api

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
)

// The outcome of an error in the gateway itself depends on whether the door was called,
// not on the path.
func TestFailuresBeforeTheDoorHaveWrittenNothing(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, withCatalog(panicking{}))
	for _, path := range []string{"/v1/events/orders.placed", "/v1/event-types/orders.placed/validate"} {
		p := g.do(t, http.MethodPost, path, "{}").problem(t)
		require.Equal(t, "/problems/internal", p.Type)
		require.Equal(t, event.NotWritten, p.Outcome, path)
		require.True(t, p.Retryable, path)
	}
}

func TestFailuresInTheDoor(t *testing.T) {
	t.Parallel()
	const batch = "[{" + context1 + `,"data":1}]`
	for how, d := range map[string]door{
		"error": failing(errors.New("secret")),
		"panic": func(ingest.Request) (ingest.Result, error) { panic("secret") },
	} {
		for name, c := range map[string]struct {
			post      func(g *gateway) answer
			retryable bool
		}{
			"an event without a key": {func(g *gateway) answer { return g.post(t) }, false},
			"an event with a key":    {func(g *gateway) answer { return g.post(t, "Idempotency-Key: k") }, true},
			"a structured CloudEvent": {func(g *gateway) answer {
				return g.do(t, http.MethodPost, "/v1/events", "{"+context1+`,"data":1}`, structuredType)
			}, true},
			"a batch, upper case": {func(g *gateway) answer {
				return g.do(t, http.MethodPost, "/v1/events", batch, "Content-Type: Application/CloudEvents-Batch+JSON")
			}, true},
			"a webhook": {func(g *gateway) answer { return deliver(t, g, "shop", `{"type":"x","id":"1"}`) }, true},
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				a := c.post(start(t, d, withWebhooks(t)))
				require.NotContains(t, string(a.body), "secret")
				if a.StatusCode == http.StatusMultiStatus { // of a batch, each event has its problem
					p := a.items(t)[0].Problem
					require.Equal(t, event.Unknown, p.Outcome)
					require.Equal(t, c.retryable, p.Retryable)
					return
				}
				p := a.problem(t)
				require.Equal(t, "/problems/internal", p.Type)
				require.Equal(t, event.Unknown, p.Outcome)
				require.Equal(t, c.retryable, p.Retryable)
			})
		}
	}
}

// A question for a receipt writes nothing, whatever fails.
func TestInternalErrorsOfReceipts(t *testing.T) {
	t.Parallel()
	for how, d := range map[string]door{
		"error": failing(errors.New("secret")),
		"panic": func(ingest.Request) (ingest.Result, error) { panic("secret") },
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			a := start(t, d).do(t, http.MethodGet, "/v1/receipts?idempotency_key=k", "")
			p := a.problem(t)
			require.Equal(t, "/problems/internal", p.Type)
			require.Equal(t, event.NotWritten, p.Outcome)
			require.True(t, p.Retryable)
			openAPI(t).requireDocumented(t, "GET /v1/receipts", a)
		})
	}
}

// The state of one request is not seen by the next.
func TestExchangesStartEmpty(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	g := start(t, accepting, with)
	w := g.dial(t)
	w.send(t, rawPost("Idempotency-Key: k\r\nAuthorization: Bearer "+good, "{}"))
	require.Equal(t, http.StatusAccepted, w.answer(t).StatusCode)
	w.send(t, rawPost("", "{}"))
	requireRefused(t, w.answer(t), event.Unauthenticated, "")
	w.send(t, "GET /problems HTTP/1.1\r\nHost: gateway\r\n\r\n")
	a := w.answer(t)
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.False(t, varies(a, "Authorization"), "nobody was identified")
}
