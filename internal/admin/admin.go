// Package admin is the second listener, for operators: health, metrics and
// profiles. It is told what to check as functions, and imports no other package of
// the gateway.
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
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// probeAge is how long a good answer of Kafka or Redis is good for /readyz,
	// failureAge how long a failure is.
	probeAge     = 2 * time.Second
	failureAge   = 200 * time.Millisecond
	probeTimeout = 2 * time.Second
)

// Server answers on the second listener.
type Server struct {
	server *http.Server
	mux    *http.ServeMux
	ready  *atomic.Bool
	probes map[string]*probe
}

// New returns a Server. ready says whether the gateway takes events; each check
// asks a dependency whether it answers.
func New(registry *prometheus.Registry, ready *atomic.Bool, checks map[string]func(context.Context) error) *Server {
	a := &Server{ready: ready, probes: map[string]*probe{}}
	for name, check := range checks {
		a.probes[name] = &probe{check: check}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	a.mux = mux
	a.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return a
}

// Serve answers on ln until Shutdown. Profiles cost CPU and show memory, so they are there only
// for this machine.
func (a *Server) Serve(ln net.Listener) error {
	if addr, ok := ln.Addr().(*net.TCPAddr); ok && addr.IP.IsLoopback() {
		a.mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		a.mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		a.mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	if err := a.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin: %w", err)
	}
	return nil
}

// Shutdown ends Serve, and gives requests under way a second.
func (a *Server) Shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close()
	}
}

// readyz is 200 if the gateway takes events and Kafka and Redis answer.
func (a *Server) readyz(w http.ResponseWriter, r *http.Request) {
	type check struct {
		OK    bool   `json:"ok"`
		Error string `json:"error,omitempty"`
	}
	answer := struct {
		Ready  bool             `json:"ready"`
		Checks map[string]check `json:"checks"`
	}{Ready: a.ready.Load(), Checks: map[string]check{"gateway": {OK: a.ready.Load()}}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for name, p := range a.probes {
		wg.Go(func() {
			c := check{OK: true}
			if err := p.ask(r.Context()); err != nil {
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

// probe asks a dependency at most once in a while, however often it is asked.
type probe struct {
	check func(context.Context) error

	mu   sync.Mutex
	at   time.Time
	last error
}

func (p *probe) ask(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	age := probeAge
	if p.last != nil {
		age = failureAge
	}
	if time.Since(p.at) < age {
		return p.last
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	p.last = p.check(ctx)
	p.at = time.Now()
	return p.last
}
