package api

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/rate"
)

// purse is a Limiter that lets through as many tokens as it has, and keeps what it
// was asked for.
type purse struct {
	mu    sync.Mutex
	left  int
	asked []int
	names []string
}

func (p *purse) Take(client string, _ bool, n int) rate.Decision {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.names = append(p.asked, n), append(p.names, client)
	d := rate.Decision{Limit: rate.Limit{Count: 90, Per: time.Minute}, More: 700 * time.Millisecond, RetryAfter: 1200 * time.Millisecond}
	if n <= p.left {
		p.left, d.Allowed = p.left-n, true
	}
	d.Remaining = p.left
	return d
}

func withRate(p *purse) option { return func(c *Config, _ *Catalog) { c.Rates = p } }

const anyType = "Accept: */*" // no media type said

func exampleOf(t *testing.T, eventType string) string {
	t.Helper()
	for _, each := range samples(t).Types() {
		if each.Name == eventType {
			return string(each.Examples[0])
		}
	}
	require.FailNow(t, "no such type")
	return ""
}

func TestRates(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	who := "Authorization: Bearer " + good
	one := "{" + context1 + `,"data":1}`
	for name, c := range map[string]struct {
		operation, path, body, contentType string
		cost                               []int
	}{
		"event":            {"POST /v1/events/{type}", "/v1/events/orders.placed", "{}", anyType, []int{1}},
		"event by version": {"POST /v1/events/{type}/{version}", "/v1/events/orders.placed/v1", "{}", anyType, []int{1}},
		"tombstone":        {"DELETE /v1/events/{type}/{version}", "/v1/events/orders.placed/o-1", "", anyType, []int{1}},
		"cloud event":      {"POST /v1/events", "/v1/events", one, structuredType, []int{1}},
		"batch of three":   {"POST /v1/events", "/v1/events", "[" + one + "," + one + "," + one + "]", batchType, []int{1, 2}},
		"batch of one":     {"POST /v1/events", "/v1/events", "[" + one + "]", batchType, []int{1}},
		"dry run":          {"POST /v1/event-types/{type}/validate", "/v1/event-types/orders.placed/validate", exampleOf(t, "orders.placed"), anyType, []int{1}},
		"receipt":          {"GET /v1/receipts", "/v1/receipts?idempotency_key=k", "", anyType, []int{1}},
		"event types":      {"GET /v1/event-types", "/v1/event-types", "", anyType, nil},
		"a page":           {"GET /", "/", "", anyType, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &purse{left: 3}
			g := start(t, accepting, with, withRate(p))
			method, _, _ := strings.Cut(c.operation, " ")
			a := g.do(t, method, c.path, c.body, who, c.contentType)
			require.Less(t, a.StatusCode, 300, string(a.body))
			require.Equal(t, c.cost, p.asked)
			if c.cost == nil {
				require.Empty(t, a.Header.Get("RateLimit"))
				return
			}
			require.Equal(t, "web", p.names[0])
			require.Equal(t, `"client";q=90;w=60`, a.Header.Get("RateLimit-Policy"))
			require.Regexp(t, `^"client";r=[0-2];t=1$`, a.Header.Get("RateLimit"))
			if name != "receipt" { // the fake door's has no type
				openAPI(t).requireDocumented(t, c.operation, a)
			}

			p.mu.Lock()
			p.left = 0
			p.mu.Unlock()
			body := c.body
			if body != "" {
				body = "this is not read"
			}
			a = g.do(t, method, c.path, body, who, c.contentType)
			requireRefused(t, a, event.RateLimited, "90 calls in a minute")
			require.True(t, a.problem(t).Retryable)
			require.Equal(t, "2", a.Header.Get("Retry-After"), "rounded up")
			require.Equal(t, `"client";r=0;t=1`, a.Header.Get("RateLimit"))
			openAPI(t).requireDocumented(t, c.operation, a)
		})
	}
}

func TestBatchThatIsTooMuch(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	p := &purse{left: 2}
	d, seen := recording()
	g := start(t, d, with, withRate(p))
	one := "{" + context1 + `,"data":1}`
	a := g.do(t, http.MethodPost, "/v1/events", "["+one+","+one+","+one+"]", "Authorization: Bearer "+good, batchType)
	requireRefused(t, a, event.RateLimited, "an event of a batch counts as one")
	require.Empty(t, seen, "nothing of it is written")
}

// Strangers and webhooks have no rate.
func TestWhoHasNoRate(t *testing.T) {
	t.Parallel()
	with, _ := withAuth(t)
	p := &purse{}
	g := start(t, accepting, with, withRate(p), withWebhooks(t))
	g.post(t, "Authorization: Bearer gwk_wrong")
	g.do(t, http.MethodPost, "/v1/webhooks/stripe", "{}")
	g.do(t, http.MethodGet, "/problems", "")
	g.do(t, http.MethodOptions, "/v1/events", "")
	require.Empty(t, p.asked)
}

func TestNoLimitNoHeaders(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	unlimited := rate.New(rate.Config{}, nil, nil, nil)
	t.Cleanup(unlimited.Close)
	g := start(t, accepting, with, func(c *Config, _ *Catalog) { c.Rates = unlimited })
	a := g.post(t, "Authorization: Bearer "+good)
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	require.Empty(t, a.Header.Get("RateLimit"))
	require.Empty(t, a.Header.Get("RateLimit-Policy"))
}
