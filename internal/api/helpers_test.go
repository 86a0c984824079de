package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"eventgateway/internal/describe"
	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/intake"
	"eventgateway/internal/schema"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp's cleaner checks only every 10 s whether to stop.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		// fasthttp's clock runs as long as the process does.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// patience is long enough for a busy machine. Only a failing test waits it out.
const patience = 30 * time.Second

// door is a fake Door.
type door func(r ingest.Request) (ingest.Result, error)

func (d door) Accept(_ context.Context, r ingest.Request) (ingest.Result, error) { return d(r) }

// AcceptBatch asks the same function for each event that has no fault.
func (d door) AcceptBatch(_ context.Context, rs []ingest.Request) []ingest.BatchResult {
	answers := make([]ingest.BatchResult, len(rs))
	for i, r := range rs {
		if answers[i].Err = r.Fault; r.Fault == nil {
			answers[i].Result, answers[i].Err = d(r)
		}
	}
	return answers
}

// Receipt asks the same function, with nothing but client and identity.
func (d door) Receipt(_ context.Context, client string, identity event.Identity) (event.Receipt, error) {
	result, err := d(ingest.Request{Client: client, Identity: identity})
	return result.Receipt, err
}

// accepting answers every event with a receipt.
func accepting(r ingest.Request) (ingest.Result, error) {
	key := "o-1"
	return ingest.Result{Receipt: event.Receipt{
		ID: "id-1", Type: r.Type, Version: "v1", Topic: r.Type, Partition: 3, Offset: 48211, Key: &key, Time: "2026-11-23T09:15:30Z",
	}}, nil
}

// failing answers every event with err.
func failing(err error) door {
	return func(ingest.Request) (ingest.Result, error) { return ingest.Result{}, err }
}

// recording answers like accepting and passes each request on.
func recording() (door, <-chan ingest.Request) {
	seen := make(chan ingest.Request, 16)
	return func(r ingest.Request) (ingest.Result, error) {
		seen <- r
		return accepting(r)
	}, seen
}

// samples are the event types of the repository's schemas folder.
func samples(tb testing.TB) *schema.Set {
	tb.Helper()
	set, err := theSamples()
	require.NoError(tb, err)
	return set
}

// Sets and descriptions never change: one of each does for all tests.
var (
	theSamples = sync.OnceValues(func() (*schema.Set, error) { return schema.Load("../../schemas") })
	theBase    = sync.OnceValues(func() (*describe.Base, error) {
		text, err := os.ReadFile("../../openapi.yaml")
		if err != nil {
			return nil, err
		}
		return describe.NewBase(text)
	})
)

// typesOf loads a schemas folder of these files.
func typesOf(tb testing.TB, files map[string]string) *schema.Set {
	tb.Helper()
	dir := tb.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(tb, os.MkdirAll(filepath.Dir(at), 0o750))
		require.NoError(tb, os.WriteFile(at, []byte(text), 0o600))
	}
	set, err := schema.Load(dir)
	require.NoError(tb, err)
	return set
}

// fixed is a catalog that never changes.
type fixed struct{ *eventTypes }

type eventTypes = schema.Set

func (f fixed) Set() *schema.Set { return f.eventTypes }

// gateway is a Server under test, on a TCP listener.
type gateway struct {
	*Server
	addr     string
	registry *prometheus.Registry
	log      *safeBuffer
	client   *http.Client
}

type option func(*Config, *Catalog)

func withBodyLimit(n int) option { return func(c *Config, _ *Catalog) { c.BodyLimit = n } }
func withReadTimeout(d time.Duration) option {
	return func(c *Config, _ *Catalog) { c.ReadTimeout = d }
}
func withCatalog(other Catalog) option { return func(_ *Config, c *Catalog) { *c = other } }

func start(tb testing.TB, d door, opts ...option) *gateway {
	tb.Helper()
	return startWith(tb, d, opts...)
}

// notServing is a gateway without a listener.
func notServing(tb testing.TB, d Door, opts ...option) *gateway {
	tb.Helper()
	base, err := theBase()
	require.NoError(tb, err)
	cfg := Config{Limits: intake.Limits{BodyLimit: 64 << 10, InFlight: 64 << 20, ReadTimeout: patience, WriteTimeout: patience}, OpenAPI: base}
	var catalog Catalog = fixed{samples(tb)}
	for _, o := range opts {
		o(&cfg, &catalog)
	}
	g := &gateway{registry: prometheus.NewRegistry(), log: &safeBuffer{}}
	g.Server = New(cfg, d, catalog, slog.New(slog.NewJSONHandler(g.log, nil)), g.registry)
	return g
}

func startWith(tb testing.TB, d Door, opts ...option) *gateway {
	tb.Helper()
	g := notServing(tb, d, opts...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	g.addr = ln.Addr().String()
	transport := &http.Transport{}
	g.client = &http.Client{Transport: transport, Timeout: patience}

	served := make(chan error, 1)
	go func() { served <- g.Serve(ln) }()
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(tb, g.Shutdown(ctx))
		require.NoError(tb, <-served)
	})
	return g
}

// answer is a response that was read to its end.
type answer struct {
	*http.Response
	body []byte
}

// do sends a request; headers are "Name: value".
func (g *gateway) do(tb testing.TB, method, path, body string, headers ...string) answer {
	tb.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, "http://"+g.addr+path, r)
	require.NoError(tb, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := g.client.Do(req)
	require.NoError(tb, err)
	return read(tb, resp)
}

// post publishes an order.
func (g *gateway) post(tb testing.TB, headers ...string) answer {
	tb.Helper()
	return g.do(tb, http.MethodPost, "/v1/events/orders.placed", `{}`, headers...)
}

func read(tb testing.TB, resp *http.Response) answer {
	tb.Helper()
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	return answer{resp, body}
}

// problem is the answer as a problem document, which it must be.
func (a answer) problem(tb testing.TB) problemDocument {
	tb.Helper()
	require.Equal(tb, "application/problem+json", a.Header.Get("Content-Type"), string(a.body))
	var p problemDocument
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	require.NoError(tb, d.Decode(&p), string(a.body))
	require.Equal(tb, a.StatusCode, p.Status)
	return p
}

// requireRefused is for requests that must be answered with a problem that was
// surely not written.
func requireRefused(tb testing.TB, a answer, kind event.Kind, inDetail string) {
	tb.Helper()
	p := a.problem(tb)
	require.Equal(tb, "/problems/"+string(kind), p.Type, p.Detail)
	require.Equal(tb, event.NotWritten, p.Outcome)
	require.Contains(tb, p.Detail, inDetail)
}

// wire is a TCP connection for requests that net/http would not send.
type wire struct {
	net.Conn
	r *bufio.Reader
}

func (g *gateway) dial(tb testing.TB) wire {
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

// rawPost is a POST of an order with these header lines, as bytes.
func rawPost(headers, body string) string {
	if headers != "" {
		headers += "\r\n"
	}
	return "POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\n" + headers +
		"Content-Length: " + itoa(len(body)) + "\r\n\r\n" + body
}

func itoa(n int) string {
	text, _ := json.Marshal(n)
	return string(text)
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
