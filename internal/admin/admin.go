package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// headerTimeout bounds how long the headers of a request take to arrive.
const headerTimeout = 5 * time.Second

// Check asks a dependency whether it answers.
type Check func(context.Context) error

// Config says what a Server reports.
type Config struct {
	Metrics prometheus.Gatherer
	Ready   func() bool      // whether the gateway takes events
	Checks  map[string]Check // by name, as /readyz shows it
	// Judge says from the checks' results, nil for one that passed, whether the gateway
	// is ready. Without it, all checks must pass.
	Judge func(results map[string]error) Judgement
}

// Server answers on the second listener.
type Server struct {
	server *http.Server
	mux    *http.ServeMux
	ready  func() bool
	judge  func(map[string]error) Judgement
	probes map[string]*probe
}

// New returns a Server that is ready to Serve.
func New(cfg Config) *Server {
	s := &Server{mux: http.NewServeMux(), ready: cfg.Ready, judge: cfg.Judge, probes: map[string]*probe{}}
	if s.judge == nil {
		s.judge = allPass
	}
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
