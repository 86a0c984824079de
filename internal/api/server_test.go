package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/ingest"
)

// A gateway may be told to stop while it starts.
func TestShutdownAtAnyTimeEndsServe(t *testing.T) {
	t.Parallel()
	catalog := samples(t)
	for name, order := range map[string]func(serve, shutdown func()){
		"before Serve": func(serve, shutdown func()) { shutdown(); go serve() },
		"with Serve":   func(serve, shutdown func()) { go serve(); shutdown() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 50 {
				s := New(Config{BodyLimit: kib}, door(accepting), fixed{catalog}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				served := make(chan error, 1)
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				order(func() { served <- s.Serve(ln) }, func() { require.NoError(t, s.Shutdown(ctx)) })
				select {
				case err := <-served:
					require.NoError(t, err)
				case <-ctx.Done():
					require.Fail(t, "Serve must return")
				}
				cancel()
				_, err = net.Dial("tcp", ln.Addr().String())
				require.Error(t, err, "the listener is closed")
			}
		})
	}
}

// slowListener holds fiber up before it takes the listener up.
type slowListener struct {
	net.Listener
	taken   chan struct{}
	proceed chan struct{}
}

func (l slowListener) Addr() net.Addr {
	select {
	case l.taken <- struct{}{}:
		<-l.proceed
	default: // not the first time
	}
	return l.Listener.Addr()
}

func TestShutdownWhileServeBegins(t *testing.T) {
	t.Parallel()
	s := New(Config{BodyLimit: kib}, door(accepting), fixed{samples(t)}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	slow := slowListener{ln, make(chan struct{}, 1), make(chan struct{})}
	served, stopped := make(chan error, 1), make(chan error, 1)
	go func() { served <- s.Serve(slow) }()
	<-slow.taken
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() { stopped <- s.Shutdown(ctx) }()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.stopped
	}, patience, time.Millisecond)
	require.Never(t, func() bool { return len(stopped) > 0 }, 20*time.Millisecond, time.Millisecond, "there is no listener yet that it could close")
	close(slow.proceed)
	require.NoError(t, <-stopped)
	require.NoError(t, <-served)
}

func TestShutdownWaitsForRequestsUnderWay(t *testing.T) {
	t.Parallel()
	begun, gate := make(chan struct{}), make(chan struct{})
	g := start(t, func(r ingest.Request) (ingest.Result, error) {
		close(begun)
		<-gate
		return accepting(r)
	})
	w := g.dial(t)
	w.send(t, rawPost("", "{}"))
	<-begun
	soon, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, g.Shutdown(soon), context.DeadlineExceeded)
	_, err := net.Dial("tcp", g.addr)
	require.Error(t, err, "nobody new is let in")
	close(gate)
	require.Equal(t, http.StatusAccepted, w.answer(t).StatusCode, "who was in gets an answer")
}
