package api

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

const kib = 1 << 10

func TestBodyOfExactlyTheLimit(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, withBodyLimit(kib))
	path := "/v1/events/orders.placed"
	require.Equal(t, http.StatusAccepted, g.do(t, http.MethodPost, path, strings.Repeat(" ", kib)).StatusCode)
	requireRefused(t, g.do(t, http.MethodPost, path, strings.Repeat(" ", kib+1)), event.EventTooLarge, "1024 bytes")
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, withBodyLimit(kib))
	for name, c := range map[string]struct{ length, status int }{"fits": {2, 202}, "too large": {kib + 1, 413}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := g.dial(t)
			w.send(t, "POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\nExpect: 100-continue\r\nContent-Length: "+itoa(c.length)+"\r\n\r\n")
			a := w.answer(t)
			if a.StatusCode == http.StatusContinue {
				w.send(t, strings.Repeat(" ", c.length))
				a = w.answer(t)
			}
			require.Equal(t, c.status, a.StatusCode)
		})
	}
}

func TestHeadersOver16KiB(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size   int // of the request line and headers
		status int
	}{
		"fit":      {16 * kib, 202},
		"too long": {16*kib + 1, 431},
		"far over": {200 * kib, 431},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, accepting).dial(t)
			head := rawPost("X-Padding: ", "{}")
			padding := strings.Repeat("p", c.size-len(head)+len("{}"))
			w.send(t, strings.Replace(head, "X-Padding: ", "X-Padding: "+padding, 1))
			a := w.answer(t)
			require.Equal(t, c.status, a.StatusCode)
			if c.status == http.StatusRequestHeaderFieldsTooLarge {
				requireRefused(t, a, event.HeadersTooLarge, "16384")
				require.True(t, a.Close)
			}
		})
	}
}

func TestLongRequestLine(t *testing.T) {
	t.Parallel()
	w := start(t, accepting).dial(t)
	w.send(t, "GET /"+strings.Repeat("x", 17*kib)+" HTTP/1.1\r\nHost: gateway\r\n\r\n")
	requireRefused(t, w.answer(t), event.HeadersTooLarge, "")
}

func TestSlowRequestsTimeOut(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"body":          rawPost("", strings.Repeat(" ", 100))[:150],
		"no body":       "POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n",
		"chunked body":  "POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{",
		"headers":       "POST /v1/events/orders.placed HTTP/1.1\r\nHost: gate",
		"request line":  "POST /v1/ev",
		"get's headers": "GET /v1/event-types HTTP/1.1\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			w := start(t, d, withReadTimeout(100*time.Millisecond)).dial(t)
			w.send(t, request)
			a := w.answer(t)
			requireRefused(t, a, event.RequestTimeout, "100ms")
			require.True(t, a.problem(t).Retryable)
			require.True(t, a.Close)
			require.Empty(t, seen)
		})
	}
}

func TestRequestsThatAreNotHTTP(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"garbage":                    "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
		"no method":                  " / HTTP/1.1\r\nHost: gateway\r\n\r\n",
		"bad length":                 "POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\nContent-Length: -2\r\n\r\n{}",
		"a length that says timeout": "POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\nContent-Length: timeout\r\n\r\n{}",
		"bad chunk":                  "POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			w := start(t, d).dial(t)
			w.send(t, request)
			a := w.answer(t)
			requireRefused(t, a, event.MalformedRequest, "not well-formed HTTP")
			require.Empty(t, seen)
		})
	}
}

func TestUnknownMethods(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	for name, c := range map[string]struct {
		request string
		kind    event.Kind
		allow   string
	}{
		"unknown":            {"BREW /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\n\r\n", event.MethodNotAllowed, "POST"},
		"of a lower case":    {"post /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{}", event.MethodNotAllowed, "POST"},
		"nothing there":      {"BREW /coffee HTTP/1.1\r\nHost: gateway\r\n\r\n", event.NotFound, ""},
		"on a page":          {"BREW /docs HTTP/1.1\r\nHost: gateway\r\n\r\n", event.MethodNotAllowed, "GET, HEAD"},
		"known to none here": {"TRACE /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\n\r\n", event.MethodNotAllowed, "POST"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := g.dial(t)
			w.send(t, c.request)
			a := w.answer(t)
			requireRefused(t, a, c.kind, "")
			require.Equal(t, c.allow, a.Header.Get("Allow"))
			require.NotContains(t, string(a.body), "BREW")
			w.send(t, rawPost("", "{}"))
			require.Equal(t, http.StatusAccepted, w.answer(t).StatusCode, "the connection is kept")
		})
	}
}

// Requests that wait for the door do not hold up others.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	d, seen := recording()
	g := start(t, d)
	var wg sync.WaitGroup
	for range 8 {
		w := g.dial(t)
		wg.Go(func() {
			_, _ = io.WriteString(w, rawPost("Idempotency-Key: k", "{}"))
			if resp, err := http.ReadResponse(w.r, nil); err == nil {
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
	require.Len(t, seen, 8)
}
