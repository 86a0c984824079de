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
	reads int
	wait  time.Duration // of what is reserved
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

func (p *purse) TakeRead(client string, byToken bool) rate.Decision {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads++
	return rate.Decision{Limit: rate.Limit{Count: 90, Per: time.Minute}, Allowed: p.reads <= 2, RetryAfter: 1200 * time.Millisecond}
}

// Reserve is Take, but more than the limit's Largest never pass.
func (p *purse) Reserve(client string, byToken bool, n, paid int) rate.Decision {
	if limit := (rate.Limit{Count: 90, Per: time.Minute}); n > limit.Largest() {
		return rate.Decision{Limit: limit}
	}
	d := p.Take(client, byToken, n-paid)
	p.mu.Lock()
	defer p.mu.Unlock()
	d.Wait = p.wait
	return d
}

func (p *purse) set(wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wait = wait
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
	batch := func(n int) answer {
		one := "{" + context1 + `,"data":1}`
		return g.do(t, http.MethodPost, "/v1/events", "["+strings.Repeat(one+",", n-1)+one+"]", "Authorization: Bearer "+good, batchType)
	}
	requireRefused(t, batch(4), event.RateLimited, "an event of a batch counts as one")
	p.mu.Lock()
	p.left = 1000
	p.mu.Unlock()
	a := batch(50)
	requireRefused(t, a, event.EventTooLarge, "at most 17 events, and this one has 50")
	require.False(t, a.problem(t).Retryable)
	openAPI(t).requireDocumented(t, "POST /v1/events", a)
	require.Empty(t, seen, "nothing of them is written")
}

// A batch waits before its events are taken, and not beyond the server's end.
func TestBatchesWait(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	p := &purse{left: 100, wait: 50 * time.Millisecond}
	d, seen := recording()
	g := start(t, d, with, withRate(p))
	one := "{" + context1 + `,"data":1}`
	send := func() answer {
		return g.do(t, http.MethodPost, "/v1/events", "["+one+","+one+"]", "Authorization: Bearer "+good, batchType)
	}
	begun := time.Now()
	require.Equal(t, http.StatusAccepted, send().StatusCode)
	require.GreaterOrEqual(t, time.Since(begun), 50*time.Millisecond)
	require.Len(t, seen, 2)

	p.set(time.Hour)
	waiting := make(chan answer, 1)
	go func() { waiting <- send() }()
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.asked) == 4
	}, patience, time.Millisecond)
	g.stop()
	requireRefused(t, <-waiting, event.Overloaded, "stopping")
	require.Len(t, seen, 2, "nothing of it is written")
}

func TestReadsHaveARate(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	for operation, path := range map[string]string{
		"GET /": "/", "GET /docs": "/docs", "GET /openapi.json": "/openapi.json", "GET /openapi.yaml": "/openapi.yaml", "GET /asyncapi.json": "/asyncapi.json",
		"GET /v1/event-types": "/v1/event-types", "GET /v1/event-types/{type}": "/v1/event-types/orders.placed", "GET /v1/event-types/{type}/schema": "/v1/event-types/orders.placed/schema",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			p := &purse{}
			g := start(t, accepting, with, withRate(p))
			ask := func() answer { return g.do(t, http.MethodGet, path, "", "Authorization: Bearer "+good) }
			require.Equal(t, http.StatusOK, ask().StatusCode)
			require.Equal(t, http.StatusOK, ask().StatusCode)
			a := ask()
			requireRefused(t, a, event.RateLimited, "may read 90 times in a minute")
			openAPI(t).requireDocumented(t, operation, a)
			require.Empty(t, p.asked, "reads are counted apart")
		})
	}
}

// Who is no client has a rate by address, before its body is read.
func TestStrangersAndWebhooksHaveARate(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	limits := func(c *Config, _ *Catalog) {
		c.StrangerRate, c.WebhookRate = rate.Limit{Count: 1, Per: time.Hour}, rate.Limit{Count: 1, Per: time.Hour}
	}
	for name, c := range map[string]struct{ operation, path string }{
		"no credentials": {"POST /v1/events/{type}", "/v1/events/orders.placed"},
		"problems":       {"GET /problems", "/problems"},
		"a problem":      {"GET /problems/{slug}", "/problems/internal"},
		"assets":         {"GET /docs/assets/{file}", "/docs/assets/page.css"},
		"handshake":      {"OPTIONS /v1/events", "/v1/events"},
		"webhook":        {"POST /v1/webhooks/{source}", "/v1/webhooks/stripe"},
		"URL check":      {"GET /v1/webhooks/{source}", "/v1/webhooks/stripe"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, accepting, with, withWebhooks(t), limits)
			method, _, _ := strings.Cut(c.operation, " ")
			require.NotEqual(t, http.StatusTooManyRequests, g.do(t, method, c.path, "").StatusCode)
			a := g.do(t, method, c.path, "")
			requireRefused(t, a, event.RateLimited, "in an hour from one address")
			if c.path != "/v1/events/orders.placed" { // its log line says that it has no credentials
				require.Contains(t, g.log.String(), "exceed http.rates.")
			}
			require.NotEmpty(t, a.Header.Get("Retry-After"))
			if method != http.MethodOptions {
				openAPI(t).requireDocumented(t, c.operation, a)
			}
			require.Equal(t, http.StatusAccepted, g.post(t, "Authorization: Bearer "+good).StatusCode, "clients are not strangers")
		})
	}
}

// Forged deliveries, and those to sources that do not exist, use up nothing of what a
// provider may deliver: that is counted for each address and source.
func TestStrangersDoNotUseUpASourcesRate(t *testing.T) {
	t.Parallel()
	once := func(c *Config, _ *Catalog) { c.WebhookRate = rate.Limit{Count: 1, Per: time.Hour} }
	g := start(t, accepting, withWebhooks(t), withProxies("127.0.0.0/8"), once)
	const body = `{"id":"evt_1","type":"charge.succeeded","data":{"object":{"id":"ch_1"}}}`
	provider, stranger := "X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 203.0.113.9"
	forged := func(source, from string) int {
		return g.do(t, http.MethodPost, "/v1/webhooks/"+source, body, from).StatusCode
	}
	require.Equal(t, http.StatusUnauthorized, forged("stripe", stranger))
	require.Equal(t, http.StatusTooManyRequests, forged("stripe", stranger))
	require.Equal(t, http.StatusNotFound, forged("other", provider))
	require.Equal(t, http.StatusUnauthorized, forged("slack", provider), "whoever shares the provider's address, at another source")
	require.Equal(t, http.StatusAccepted, deliver(t, g, "stripe", body, provider).StatusCode)
	require.Equal(t, http.StatusTooManyRequests, deliver(t, g, "stripe", body, provider).StatusCode)
}

// Strangers and webhooks do not count as a client.
func TestWhoIsNoClient(t *testing.T) {
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
