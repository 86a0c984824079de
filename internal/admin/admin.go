package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// successAge is how long /readyz repeats that a check passed, failureAge how long
	// that it failed.
	successAge = 2 * time.Second
	failureAge = 200 * time.Millisecond
	// checkTimeout bounds one check.
	checkTimeout = 2 * time.Second
	// headerTimeout bounds how long the headers of a request take to arrive.
	headerTimeout = 5 * time.Second
)

// Check asks a dependency whether it answers.
type Check func(context.Context) error

// Config says what a Server reports.
type Config struct {
	Metrics prometheus.Gatherer
	Ready   func() bool      // whether the gateway takes events
	Checks  map[string]Check // by name, as /readyz shows it
}

// Server answers on the second listener.
type Server struct {
	server *http.Server
	mux    *http.ServeMux
	ready  func() bool
	probes map[string]*probe
}

// New returns a Server that is ready to Serve.
func New(cfg Config) *Server {
	s := &Server{mux: http.NewServeMux(), ready: cfg.Ready, probes: map[string]*probe{}}
	for name, check := range cfg.Checks {
		s.probes[name] = &probe{check: check}
	}
	s.mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	s.mux.HandleFunc("GET /readyz", s.readyz)
	s.mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.Metrics, promhttp.HandlerOpts{}))
	s.server = &http.Server{Handler: s.mux, ReadHeaderTimeout: headerTimeout}
	return s
}

// Serve answers on ln until Shutdown, and then returns nil. Profiles cost CPU time and
// show memory, so only this machine may ask for them.
func (s *Server) Serve(ln net.Listener) error {
	if addr, ok := ln.Addr().(*net.TCPAddr); ok && addr.IP.IsLoopback() {
		s.mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		s.mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		s.mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	if err := s.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin: %w", err)
	}
	return nil
}

// Shutdown ends Serve. Requests in progress have until ctx ends, then their connections
// are closed.
func (s *Server) Shutdown(ctx context.Context) {
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close()
	}
}

// readyz answers 200 if the gateway takes events and every check passes.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	type check struct {
		OK    bool   `json:"ok"`
		Error string `json:"error,omitempty"`
	}
	ready := s.ready()
	answer := struct {
		Ready  bool             `json:"ready"`
		Checks map[string]check `json:"checks"`
	}{Ready: ready, Checks: map[string]check{"gateway": {OK: ready}}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for name, p := range s.probes {
		wg.Go(func() {
			c := check{OK: true}
			if err := p.result(r.Context()); err != nil {
				c = check{Error: err.Error()}
			}
			mu.Lock()
			defer mu.Unlock()
			answer.Checks[name] = c
			answer.Ready = answer.Ready && c.OK
		})
	}
	wg.Wait()
	w.Header().Set("Content-Type", "application/json")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// probe runs a check, and repeats its last result as long as that is fresh.
type probe struct {
	check Check

	mu   sync.Mutex
	at   time.Time
	last error
}

func (p *probe) result(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := successAge
	if p.last != nil {
		fresh = failureAge
	}
	if time.Since(p.at) < fresh {
		return p.last
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	p.last = p.check(ctx)
	p.at = time.Now()
	return p.last
}
