package intake

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"eventgateway/internal/event"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp's cleaner checks only every 10 s whether to stop.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		// fasthttp's clock runs as long as the process does.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

const (
	kib = 1 << 10
	// patience is long enough for a busy machine. Only a failing test waits it out.
	patience = 30 * time.Second
	toOrders = "POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\n"
	// ordersPath is where the handler of these tests reads bodies of Limits.BodyLimit,
	// viewsPath where it reads bodies of viewsLimit bytes. It reads no other body.
	ordersPath = "/v1/events/orders.placed"
	viewsPath  = "/v1/events/metrics.page-viewed"
	viewsLimit = 4 * kib
)

// received is what reached the handler of a test: its whole body, and some headers.
type received struct {
	data                          []byte
	key, id, subject, credentials string
}

// door is what a test does with each request whose body was read.
type door func(r received)

func accepting(received) {}

// recording passes each request on.
func recording() (door, <-chan received) {
	seen := make(chan received, 16)
	return func(r received) {
		r.data = bytes.Clone(r.data)
		seen <- r
	}, seen
}

// holding keeps its callers until the gate opens.
type holding struct {
	door
	begun, gate chan struct{}
}

func newHolding() *holding {
	h := &holding{begun: make(chan struct{}, 64), gate: make(chan struct{})}
	h.door = func(received) {
		h.begun <- struct{}{}
		<-h.gate
	}
	return h
}

// statuses of the kinds that these tests meet.
var statuses = map[event.Kind]int{
	event.MalformedRequest: 400, event.UnknownEventType: 404, event.RequestTimeout: 408, event.EventTooLarge: 413,
	event.HeadersTooLarge: 431, event.Internal: 500, event.Overloaded: 503,
}

// refusal is the body of an answer that is an error.
type refusal struct {
	Kind    event.Kind
	Outcome event.Outcome
	Detail  string
}

func refuse(ctx *fasthttp.RequestCtx, e *event.Error) {
	body, _ := json.Marshal(refusal{e.Kind, e.Outcome, e.Detail})
	ctx.SetStatusCode(statuses[e.Kind])
	ctx.SetBody(body)
}

// handler reads bodies and passes them to d.
func handler(limit int, d door) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		limit := limit
		switch {
		case !ctx.IsPost():
			ctx.SetStatusCode(http.StatusOK)
			return
		case string(ctx.Path()) == viewsPath:
			limit = viewsLimit
		case string(ctx.Path()) == "/large":
			ctx.SetBody(make([]byte, 100*kib))
			return
		case string(ctx.Path()) != ordersPath:
			refuse(ctx, event.Refuse(event.UnknownEventType, "No such type."))
			return
		}
		h := &ctx.Request.Header
		data, err := BodyOf(ctx).ReadDecoded(string(h.Peek("Content-Encoding")), limit)
		var e *event.Error
		if errors.As(err, &e) {
			refuse(ctx, e)
			return
		}
		d(received{data, string(h.Peek("Idempotency-Key")), string(h.Peek("ce-id")), string(h.Peek("ce-subject")), string(h.Peek("Authorization"))})
		ctx.SetStatusCode(http.StatusAccepted)
	}
}

type option func(*Config)

func withBodyLimit(n int) option             { return func(c *Config) { c.BodyLimit = n } }
func withInFlight(n int64) option            { return func(c *Config) { c.InFlight = n } }
func withReadTimeout(d time.Duration) option { return func(c *Config) { c.ReadTimeout = d } }
func withConnections(most, address int) option {
	return func(c *Config) { c.Connections, c.PerAddress = most, address }
}

// served is an Intake under test, on a TCP listener.
type served struct {
	*Intake
	addr string
	log  *safeBuffer
}

func notServing(d door, opts ...option) *served {
	g := &served{log: &safeBuffer{}}
	cfg := Config{
		Limits:  Limits{BodyLimit: 64 << 10, InFlight: 64 << 20, ReadTimeout: patience, WriteTimeout: patience},
		Methods: []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"},
		Refuse:  refuse, ConnectionRefused: func(string) {}, Logger: slog.New(slog.NewJSONHandler(g.log, nil)),
	}
	for _, o := range opts {
		o(&cfg)
	}
	if cfg.Handler == nil {
		cfg.Handler = handler(cfg.BodyLimit, d)
	}
	g.Intake = New(cfg)
	return g
}

func start(tb testing.TB, d door, opts ...option) *served {
	tb.Helper()
	g := notServing(d, opts...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	g.addr = ln.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ln) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(tb, g.Shutdown(ctx))
		require.NoError(tb, <-ended)
	})
	return g
}

// answer is a response that was read to its end.
type answer struct {
	*http.Response
	body []byte
}

func read(tb testing.TB, resp *http.Response) answer {
	tb.Helper()
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	return answer{resp, body}
}

// requireRefused is for requests that must be answered with an error of this kind, and
// that were surely not written.
func requireRefused(tb testing.TB, a answer, kind event.Kind, inDetail string) {
	tb.Helper()
	var r refusal
	require.NoError(tb, json.Unmarshal(a.body, &r), string(a.body))
	require.Equal(tb, kind, r.Kind, r.Detail)
	require.Equal(tb, statuses[kind], a.StatusCode)
	require.Equal(tb, event.NotWritten, r.Outcome)
	require.Contains(tb, r.Detail, inDetail)
}

// wire is a TCP connection for requests that net/http would not send.
type wire struct {
	net.Conn
	r *bufio.Reader
}

func (g *served) dial(tb testing.TB) wire {
	tb.Helper()
	conn, err := net.Dial("tcp", g.addr)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = conn.Close() })
	require.NoError(tb, conn.SetDeadline(time.Now().Add(patience)))
	return wire{conn, bufio.NewReader(conn)}
}

func (w wire) send(tb testing.TB, text string) {
	tb.Helper()
	_, err := io.WriteString(w, text)
	require.NoError(tb, err)
}

// answer reads the next response.
func (w wire) answer(tb testing.TB) answer {
	tb.Helper()
	resp, err := http.ReadResponse(w.r, nil)
	require.NoError(tb, err)
	return read(tb, resp)
}

// post sends a body to path on its own connection.
func (g *served) post(tb testing.TB, path, body string, headers ...string) answer {
	tb.Helper()
	w := g.dial(tb)
	w.send(tb, strings.Replace(rawPost(strings.Join(headers, "\r\n"), body), ordersPath, path, 1))
	return w.answer(tb)
}

// rawPost is a POST of an order with these header lines, as bytes.
func rawPost(headers, body string) string {
	if headers != "" {
		headers += "\r\n"
	}
	return toOrders + headers + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// chunked is text in chunks of n bytes, with their end.
func chunked(text string, n int) string {
	var b strings.Builder
	for len(text) > 0 {
		part := text[:min(n, len(text))]
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(part), part)
		text = text[len(part):]
	}
	return b.String() + "0\r\n\r\n"
}

// compress is text in a content coding.
func compress(tb testing.TB, coding, text string) string {
	tb.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case Gzip:
		w = gzip.NewWriter(&b)
	case Brotli:
		w = brotli.NewWriter(&b)
	case Zstd:
		var err error
		w, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
		require.NoError(tb, err)
	}
	_, err := io.WriteString(w, text)
	require.NoError(tb, err)
	require.NoError(tb, w.Close())
	return b.String()
}

// safeBuffer is a log that may be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
