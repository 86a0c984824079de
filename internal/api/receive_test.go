package api

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"eventgateway/internal/event"
)

// What panics outside of the handlers does not end the process, and holds no bytes.
func TestPanicsInTheIntake(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	receive := g.receive(func(ctx *fasthttp.RequestCtx) {
		b, _ := ctx.UserValue(bodyLocal).(*body)
		b.admit(5)
		panic("broken")
	})
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	ctx.Request.Header.SetMethod(http.MethodPost)
	ctx.Request.Header.SetHost("gateway")
	ctx.Request.Header.SetProtocol("HTTP/1.0")
	receive(&ctx)
	require.Equal(t, http.StatusInternalServerError, ctx.Response.StatusCode())
	require.Contains(t, string(ctx.Response.Body()), string(event.Internal))
	require.Contains(t, g.log.String(), "intake panicked")
	require.Zero(t, g.admission.held.Load())
}
