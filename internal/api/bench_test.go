package api

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

// BenchmarkPostEvent is all that HTTP costs but the connection: framing, routing,
// headers, answer, metrics.
func BenchmarkPostEvent(b *testing.B) {
	g := start(b, accepting)
	body := `{"orderId":"o-10492"}`
	request := []byte("POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n" +
		"Idempotency-Key: 018f3c1e-2f4a-7c3b-9a57-2f6b8c1d0e11\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	g.do(b, http.MethodGet, "/problems", "") // routes are ready once it serves
	handle := g.app.Server().Handler
	var c fasthttp.RequestCtx
	require.NoError(b, c.Request.Read(bufio.NewReader(bytes.NewReader(request))))
	b.ReportAllocs()
	for b.Loop() {
		c.Response.Reset()
		handle(&c)
		if c.Response.StatusCode() != http.StatusAccepted {
			b.Fatal(c.Response.String())
		}
	}
}
