package api

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkPostEvent measures all of HTTP but the system calls: reading, framing,
// routing, headers, answer, metrics.
func BenchmarkPostEvent(b *testing.B) {
	for name, body := range map[string]string{
		"22 B":   `{"orderId":"o-10492"}`,
		"6 KiB":  `{"orderId":"o-10492"}` + strings.Repeat(" ", 6*kib),
		"60 KiB": `{"orderId":"o-10492"}` + strings.Repeat(" ", 60*kib),
	} {
		b.Run(name, func(b *testing.B) {
			g := notServing(b, door(accepting))
			c := &endless{times: b.N, request: []byte("POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n" +
				"Idempotency-Key: 018f3c1e-2f4a-7c3b-9a57-2f6b8c1d0e11\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)}
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			b.ResetTimer()
			serve(b, g, c)
			require.Equal(b, b.N, c.accepted)
		})
	}
}

// BenchmarkPostBatch is the same for 100 CloudEvents in one request.
func BenchmarkPostBatch(b *testing.B) {
	g := notServing(b, door(accepting))
	var body strings.Builder
	for i := range 100 {
		body.WriteString(map[bool]string{true: "[", false: ","}[i == 0])
		body.WriteString(`{"specversion":"1.0","id":"0123456789abcdef` + strconv.Itoa(i) + `","source":"/bench","type":"orders.placed","data":{"orderId":"o-10492"}}`)
	}
	body.WriteString("]")
	c := &endless{times: b.N, request: []byte("POST /v1/events HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/cloudevents-batch+json\r\n" +
		"Content-Length: " + strconv.Itoa(body.Len()) + "\r\n\r\n" + body.String())}
	b.ReportAllocs()
	b.ResetTimer()
	serve(b, g, c)
	require.Equal(b, b.N, c.accepted)
}

// serve has g answer on c until c ends.
func serve(b *testing.B, g *gateway, c *endless) {
	b.Helper()
	ended := make(chan struct{})
	c.ended = sync.OnceFunc(func() { close(ended) })
	ln := &single{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	ln.conns <- c
	served := make(chan error, 1)
	go func() { served <- g.Serve(ln) }()
	<-ended
	b.StopTimer()
	require.NoError(b, g.Shutdown(b.Context()))
	require.NoError(b, <-served)
}

// single is a listener with one connection.
type single struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *single) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, io.EOF
	}
}

func (l *single) Close() error { close(l.closed); return nil }
func (*single) Addr() net.Addr { return &net.TCPAddr{} }

// endless is a connection on which the same request comes so many times.
type endless struct {
	request  []byte
	times    int
	at       int
	accepted int
	ended    func()
}

func (c *endless) Read(p []byte) (int, error) {
	if c.times == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.request[c.at:])
	if c.at += n; c.at == len(c.request) {
		c.at, c.times = 0, c.times-1
	}
	return n, nil
}

func (c *endless) Write(p []byte) (int, error) {
	c.accepted += bytes.Count(p, []byte("HTTP/1.1 202 "))
	return len(p), nil
}

func (c *endless) Close() error                   { c.ended(); return nil }
func (*endless) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*endless) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*endless) SetDeadline(time.Time) error      { return nil }
func (*endless) SetReadDeadline(time.Time) error  { return nil }
func (*endless) SetWriteDeadline(time.Time) error { return nil }
