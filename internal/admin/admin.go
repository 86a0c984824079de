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
	// AllowsHost says whether a Host header names this listener; nil: every one does.
	AllowsHost func(host string) bool
	Metrics    prometheus.Gatherer
	Ready      func() bool      // whether the gateway takes events
	Checks     map[string]Check // by name, as /readyz shows it
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
	s.server = &http.Server{Handler: checkHost(cfg.AllowsHost, s.mux), ReadHeaderTimeout: headerTimeout}
	return s
}

// checkHost refuses requests that name another host, except to /livez, which tells
// nothing: a page in a browser on this machine could have rebound its name to this address.
func checkHost(allows func(string) bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if allows != nil && r.URL.Path != "/livez" && !allows(r.Host) {
			http.Error(w, fmt.Sprintf("The Host header, %.100q, does not name this listener. If programs reach it by this name, add the name to admin.hosts.", r.Host), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ProfileHeader is what a GET of a profile must have, with any value. Pages of other
// origins cannot send it.
const ProfileHeader = "X-Gateway-Profile"

// profile makes a handler of one for profiles: they cost CPU time and show memory, so no
// page in a browser may ask for them.
func profile(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page := r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
		switch {
		case page:
			http.Error(w, "profiles are not for pages", http.StatusForbidden)
		case r.Method != http.MethodPost && r.Header.Get(ProfileHeader) == "":
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "ask with POST, or with the header "+ProfileHeader+": 1", http.StatusMethodNotAllowed)
		default:
			next(w, r)
		}
	}
}

// Serve answers on ln until Shutdown, and then returns nil. Profiles cost CPU time and
// show memory, so only this machine may ask for them.
func (s *Server) Serve(ln net.Listener) error {
	if addr, ok := ln.Addr().(*net.TCPAddr); ok && addr.IP.IsLoopback() {
		s.mux.HandleFunc("/debug/pprof/", profile(pprof.Index))
		s.mux.HandleFunc("/debug/pprof/profile", profile(pprof.Profile))
		s.mux.HandleFunc("/debug/pprof/trace", profile(pprof.Trace))
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
