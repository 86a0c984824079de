package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/auth"
	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/intake"
)

func withInFlight(n int64) option { return func(c *Config, _ *Catalog) { c.InFlight = n } }

const toOrders = "POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\n"

// Nothing of these bodies is ever sent, and no request waits for it.
func TestWhatIsDecidedWithoutTheBody(t *testing.T) {
	t.Parallel()
	key, text := auth.NewKey()
	hash, _ := auth.ParseHash(text)
	asked, err := auth.New(t.Context(), auth.Config{Clients: []auth.Client{{Name: "web", Keys: []auth.Key{{Hash: hash}}, Events: []string{"orders.*", "metrics.*"}}}}, nil)
	require.NoError(t, err)
	g := start(t, accepting, func(c *Config, _ *Catalog) { c.Auth = asked })
	keyed := "Authorization: Bearer " + key + "\r\n"
	for name, c := range map[string]struct {
		request string
		kind    event.Kind
	}{
		"who calls":        {toOrders, event.Unauthenticated},
		"permission":       {"POST /v1/events/payments.captured HTTP/1.1\r\nHost: gateway\r\n" + keyed, event.Forbidden},
		"event type":       {"POST /v1/events/orders.lost HTTP/1.1\r\nHost: gateway\r\n" + keyed, event.UnknownEventType},
		"version":          {"POST /v1/events/orders.placed/v9 HTTP/1.1\r\nHost: gateway\r\n" + keyed, event.UnknownEventType},
		"media type":       {toOrders + keyed + "Content-Type: text/plain\r\n", event.UnsupportedMediaType},
		"multipart":        {toOrders + keyed + "Content-Type: multipart/form-data; boundary=x\r\n", event.UnsupportedMediaType},
		"coding":           {toOrders + keyed + "Content-Encoding: compress\r\n", event.UnsupportedMediaType},
		"attribute":        {toOrders + keyed + "ce-time: yesterday\r\n", event.MalformedRequest},
		"key":              {toOrders + keyed + "Idempotency-Key: \"\r\n", event.MalformedRequest},
		"type's limit":     {"POST /v1/events/metrics.page-viewed HTTP/1.1\r\nHost: gateway\r\n" + keyed, event.EventTooLarge},
		"source":           {"POST /v1/webhooks/nobody HTTP/1.1\r\nHost: gateway\r\n", event.UnknownSource},
		"path":             {"POST /nothing HTTP/1.1\r\nHost: gateway\r\n", event.NotFound},
		"method":           {"PUT /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\n" + keyed, event.MethodNotAllowed},
		"structured's key": {"POST /v1/events HTTP/1.1\r\nHost: gateway\r\n" + keyed + structuredType + "\r\nIdempotency-Key: \"\r\n", event.MalformedRequest},
		"batch's key":      {"POST /v1/events HTTP/1.1\r\nHost: gateway\r\n" + keyed + batchType + "\r\nIdempotency-Key: \"\r\n", event.MalformedRequest},
		"binary's type":    {"POST /v1/events HTTP/1.1\r\nHost: gateway\r\n" + keyed + "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: payments.captured\r\n", event.Forbidden},
		"binary's limit":   {"POST /v1/events HTTP/1.1\r\nHost: gateway\r\n" + keyed + "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: metrics.page-viewed\r\n", event.EventTooLarge},
	} {
		for how, length := range map[string]string{
			"declared": "Content-Length: 60000\r\n\r\n", "waiting": "Content-Length: 60000\r\nExpect: 100-continue\r\n\r\n", "chunked": "Transfer-Encoding: chunked\r\n\r\n",
		} {
			if how == "chunked" && c.kind == event.EventTooLarge {
				continue
			}
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				w := g.dial(t)
				w.send(t, c.request+length)
				a := w.answer(t)
				requireRefused(t, a, c.kind, "")
				require.True(t, a.Close, "what follows may be the body")
			})
		}
	}
}

// holding is a door that keeps its callers until the gate opens.
type holding struct {
	door
	begun, gate chan struct{}
}

func newHolding() *holding {
	h := &holding{begun: make(chan struct{}, 64), gate: make(chan struct{})}
	h.door = func(r ingest.Request) (ingest.Result, error) {
		h.begun <- struct{}{}
		<-h.gate
		return accepting(r)
	}
	return h
}

func TestBytesAreAdmittedBeforeTheyAreRead(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"an event":  toOrders + "Content-Length: 30000\r\n\r\n", // and never sent
		"a batch":   "POST /v1/events HTTP/1.1\r\nHost: gateway\r\n" + batchType + "\r\nContent-Length: 30000\r\n\r\n",
		"a dry run": "POST /v1/event-types/orders.placed/validate HTTP/1.1\r\nHost: gateway\r\nContent-Length: 30000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			held := newHolding()
			g := start(t, held.door, withInFlight(64*kib))
			body := strings.Repeat(" ", 30*kib)
			first, second := g.dial(t), g.dial(t)
			for _, w := range []wire{first, second} {
				w.send(t, rawPost("", body))
				<-held.begun
			}
			require.EqualValues(t, 60*kib, g.intake.BodyBytes())
			third := g.dial(t)
			third.send(t, request)
			a := third.answer(t)
			requireRefused(t, a, event.Overloaded, "65536")
			require.True(t, a.problem(t).Retryable)
			require.Equal(t, "1", a.Header.Get("Retry-After"))
			require.EqualValues(t, 60*kib, g.intake.BodyBytes(), "a refusal holds nothing")
			close(held.gate)
			require.Equal(t, http.StatusAccepted, first.answer(t).StatusCode)
			require.Equal(t, http.StatusAccepted, second.answer(t).StatusCode)
			require.Zero(t, g.intake.BodyBytes())
		})
	}
}

func TestAdmittedBytesAreGivenBack(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"accepted":        rawPost("", "{}"),
		"gzip":            rawPost("Content-Encoding: gzip", compress(t, intake.Gzip, strings.Repeat(" ", 30_000))),
		"broken batch":    "POST /v1/events HTTP/1.1\r\nHost: gateway\r\n" + batchType + "\r\nContent-Length: 1\r\n\r\n[",
		"no such type":    "POST /v1/events/no.such HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{}",
		"the door panics": rawPost("ce-subject: panic", "{}"),
		"body of a GET":   "GET /problems HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, func(r ingest.Request) (ingest.Result, error) {
				if r.Attributes.Subject == "panic" {
					panic("broken")
				}
				return accepting(r)
			}, withReadTimeout(200*time.Millisecond))
			w := g.dial(t)
			w.send(t, request)
			w.answer(t)
			require.Zero(t, g.intake.BodyBytes())
		})
	}
}
