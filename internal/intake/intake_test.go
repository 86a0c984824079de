package intake

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"eventgateway/internal/event"
)

// A panic of the handler does not end the process, and holds no bytes.
func TestPanicsInTheIntake(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, func(c *Config) {
		c.Handler = func(ctx *fasthttp.RequestCtx) {
			BodyOf(ctx).admit(5)
			panic("broken")
		}
	})
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	ctx.Request.Header.SetMethod(http.MethodPost)
	ctx.Request.Header.SetHost("gateway")
	ctx.Request.Header.SetProtocol("HTTP/1.0")
	g.handle(&ctx)
	require.Equal(t, http.StatusInternalServerError, ctx.Response.StatusCode())
	require.Contains(t, string(ctx.Response.Body()), string(event.Internal))
	require.Contains(t, g.log.String(), "intake panicked")
	require.Zero(t, g.BodyBytes())
}

// A gateway may be told to stop while it starts.
func TestShutdownAtAnyTimeEndsServe(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]func(serve, shutdown func()){
		"before Serve": func(serve, shutdown func()) { shutdown(); go serve() },
		"with Serve":   func(serve, shutdown func()) { go serve(); shutdown() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 50 {
				s := notServing(accepting)
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

func TestShutdownWhileServeBegins(t *testing.T) {
	t.Parallel()
	s := notServing(accepting)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	taken, proceed, serve := make(chan struct{}), make(chan struct{}), s.serve
	s.serve = func(ln net.Listener) error { // fasthttp is slow to register the listener
		close(taken)
		<-proceed
		return serve(ln)
	}
	served, stopped := make(chan error, 1), make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	<-taken
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() { stopped <- s.Shutdown(ctx) }()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.stopped
	}, patience, time.Millisecond)
	require.Never(t, func() bool { return len(stopped) > 0 }, 20*time.Millisecond, time.Millisecond, "there is no listener yet that it could close")
	close(proceed)
	require.NoError(t, <-stopped)
	require.NoError(t, <-served)
}

func TestShutdownWaitsForRequestsInProgress(t *testing.T) {
	t.Parallel()
	begun, gate := make(chan struct{}), make(chan struct{})
	g := start(t, func(received) {
		close(begun)
		<-gate
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
