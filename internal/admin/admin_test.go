package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// readiness is the body of /readyz.
type readiness struct {
	Ready  bool
	Checks map[string]struct {
		OK    bool
		Error string
	}
}

type checks = map[string]Check

func newTestAdmin(ready bool, c checks) *Server {
	return New(Config{Metrics: prometheus.NewRegistry(), Ready: func() bool { return ready }, Checks: c})
}

func (s *Server) get(ctx context.Context, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.server.Handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
	return w
}

func (s *Server) readiness(t *testing.T) (int, readiness) {
	t.Helper()
	w := s.get(t.Context(), "/readyz")
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	var r readiness
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &r), w.Body.String())
	require.Equal(t, r.Ready, w.Code == http.StatusOK)
	return w.Code, r
}

func good(context.Context) error { return nil }

func bad(context.Context) error { return errors.New("connection refused") }

func TestReadiness(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		started bool
		kafka   func(context.Context) error
		redis   func(context.Context) error
		status  int
		failing map[string]string // check: in its error
	}{
		"ready":              {true, good, good, 200, nil},
		"not started":        {false, good, good, 503, map[string]string{"gateway": ""}},
		"kafka away":         {true, bad, good, 503, map[string]string{"kafka": "connection refused"}},
		"redis away":         {true, good, bad, 503, map[string]string{"redis": "connection refused"}},
		"everything at once": {false, bad, bad, 503, map[string]string{"gateway": "", "kafka": "refused", "redis": "refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newTestAdmin(c.started, checks{"kafka": c.kafka, "redis": c.redis})
			status, r := a.readiness(t)
			require.Equal(t, c.status, status)
			require.Len(t, r.Checks, 3)
			for check, result := range r.Checks {
				text, fails := c.failing[check]
				require.Equal(t, !fails, result.OK, check)
				require.Contains(t, result.Error, text)
			}
			require.Equal(t, http.StatusOK, a.get(t.Context(), "/livez").Code, "liveness depends on no other service")
		})
	}
}

func TestJudgementDecides(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	var types []TypeState
	for i := range shownTypes + 7 {
		types = append(types, TypeState{Name: fmt.Sprintf("type-%03d", i), Taken: TakenNone, Why: []string{"no topic"}})
	}
	judged := Judgement{Ready: true, Types: types, Quarantined: []Quarantined{{Topic: "t", Partitions: []int32{1}, Reason: "not-acknowledged", Since: since}}}
	started := true
	a := New(Config{
		Metrics: prometheus.NewRegistry(), Ready: func() bool { return started }, Checks: checks{"redis": bad, "kafka": good},
		Judge: func(results map[string]error) Judgement {
			require.Len(t, results, 2)
			require.Error(t, results["redis"])
			require.NoError(t, results["kafka"])
			return judged
		},
	})
	w := a.get(t.Context(), "/readyz")
	require.Equal(t, http.StatusOK, w.Code, "although a check fails")
	var body map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
	require.NotContains(t, body, "reason")
	require.Equal(t, map[string]any{"ok": false, "error": "connection refused"}, body["checks"].(map[string]any)["redis"])
	require.Len(t, body["types"], shownTypes)
	require.Equal(t, map[string]any{"taken": "none", "why": []any{"no topic"}}, body["types"].(map[string]any)["type-000"])
	require.InDelta(t, 7, body["more_types"], 0)
	require.Equal(t, []any{map[string]any{"topic": "t", "partitions": []any{1.0}, "reason": "not-acknowledged", "since": "2026-01-31T12:00:00Z"}}, body["quarantined"])

	started = false
	require.Equal(t, http.StatusServiceUnavailable, a.get(t.Context(), "/readyz").Code, "it stops")
	started, judged = true, Judgement{Reason: "no event type is taken"}
	w = a.get(t.Context(), "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Contains(t, w.Body.String(), `"reason":"no event type is taken"`)
	require.NotContains(t, w.Body.String(), "types")
}

func TestProbesAreAskedOnceInAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		var answer error
		a := newTestAdmin(true, checks{"kafka": func(context.Context) error { asked++; return answer }})
		for range 10 {
			status, _ := a.readiness(t)
			require.Equal(t, http.StatusOK, status)
		}
		require.Equal(t, 1, asked)

		answer = errors.New("gone")
		time.Sleep(successAge - time.Nanosecond) // the bubble's clock, as below
		status, _ := a.readiness(t)
		require.Equal(t, http.StatusOK, status, "the last answer is still good")
		time.Sleep(time.Nanosecond)
		status, _ = a.readiness(t)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, 2, asked)

		answer = nil
		status, _ = a.readiness(t)
		require.Equal(t, http.StatusServiceUnavailable, status, "failures are remembered, too")
		time.Sleep(successAge)
		status, _ = a.readiness(t)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, 3, asked)
	})
}

func TestProbesTimeOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		a := newTestAdmin(true, checks{"kafka": hang, "redis": hang})
		begun := time.Now()
		status, r := a.readiness(t)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, checkTimeout, time.Since(begun), "both at the same time")
		require.Contains(t, r.Checks["kafka"].Error, "deadline")
	})
}

// A prober that hangs up must not make the check fail for the next one.
func TestProbesOutliveTheirRequest(t *testing.T) {
	t.Parallel()
	a := newTestAdmin(true, checks{"kafka": func(ctx context.Context) error { return ctx.Err() }})
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	require.Equal(t, http.StatusOK, a.get(gone, "/readyz").Code)
}

func TestSimultaneousProbesAskOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	begun, gate := make(chan struct{}), make(chan struct{})
	a := newTestAdmin(true, checks{"kafka": func(context.Context) error {
		asked.Add(1)
		close(begun)
		<-gate
		return nil
	}})
	var wg sync.WaitGroup
	ask := func() { wg.Go(func() { a.get(context.Background(), "/readyz") }) }
	ask()
	<-begun
	for range 10 {
		ask()
	}
	close(gate)
	wg.Wait()
	require.EqualValues(t, 1, asked.Load())
}

func TestAdminPages(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "a_metric"}, func() float64 { return 7 }))
	a := New(Config{Metrics: registry, Ready: func() bool { return false }})
	metrics := a.get(t.Context(), "/metrics")
	require.Equal(t, http.StatusOK, metrics.Code)
	require.Contains(t, metrics.Body.String(), "a_metric 7")
	require.Equal(t, http.StatusNotFound, a.get(t.Context(), "/debug/pprof/").Code, "profiles are for this machine only")
	require.Equal(t, http.StatusNotFound, a.get(t.Context(), "/").Code)
	require.Equal(t, http.StatusNotFound, a.get(t.Context(), "/v1/event-types").Code, "the API is on the other listener")

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- a.Serve(ln) }()
	ask := func(method string, headers ...string) int {
		r := httptest.NewRequestWithContext(t.Context(), method, "/debug/pprof/", nil)
		for _, each := range headers {
			name, value, _ := strings.Cut(each, ": ")
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		a.server.Handler.ServeHTTP(w, r)
		return w.Code
	}
	require.Eventually(t, func() bool { return ask(http.MethodPost) == http.StatusOK }, 10*time.Second, time.Millisecond)
	require.Equal(t, http.StatusOK, ask(http.MethodGet, ProfileHeader+": 1"))
	require.Equal(t, http.StatusMethodNotAllowed, ask(http.MethodGet), "what a page can send")
	require.Equal(t, http.StatusForbidden, ask(http.MethodPost, "Origin: http://evil.example"), "what a page can send")
	require.Equal(t, http.StatusForbidden, ask(http.MethodPost, "Sec-Fetch-Site: same-origin"), "what a page with a rebound name can send")
	a.Shutdown(t.Context())
	require.NoError(t, <-served)
}

// A rebound name reads nothing; probes by address pass.
func TestOtherHostsAreRefused(t *testing.T) {
	t.Parallel()
	a := New(Config{Metrics: prometheus.NewRegistry(), Ready: func() bool { return true }, AllowsHost: func(host string) bool { return host == "10.0.0.7:9090" }})
	for path, elsewhere := range map[string]int{"/metrics": http.StatusForbidden, "/readyz": http.StatusForbidden, "/debug/pprof/": http.StatusForbidden, "/livez": http.StatusOK} {
		for host, want := range map[string]int{"evil.example:9090": elsewhere, "10.0.0.7:9090": http.StatusOK} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			a.server.Handler.ServeHTTP(w, r)
			if want == http.StatusOK && path == "/debug/pprof/" {
				want = http.StatusNotFound // it does not serve on loopback
			}
			require.Equal(t, want, w.Code, "%s %s", host, path)
		}
	}
}
