package intake

import (
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// If a server closes a connection while the client is still sending, the client's
// system drops the answer. After such an answer the connection is therefore closed
// only for writing first, and read for a while (RFC 9112 §9.6).
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 8 << 20
)

// listener accepts connections that can linger, within the limits.
type listener struct {
	net.Listener
	accepting func() // called at every Accept
	open      *connections
	refused   func(reason string)
}

// Accept implements net.Listener. Connections beyond a limit are closed at once: an
// answer would cost what the limits are to save, and before TLS no client could read it.
func (l listener) Accept() (net.Conn, error) {
	for {
		l.accepting()
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		leave, refusal := l.open.enter(c.RemoteAddr())
		if refusal == "" {
			return &lingeringConn{Conn: c, leave: leave}, nil
		}
		l.refused(refusal)
		_ = c.Close()
	}
}

type lingeringConn struct {
	net.Conn
	linger atomic.Bool
	leave  func()
}

// Close implements net.Conn.
func (c *lingeringConn) Close() error {
	if c.linger.Load() {
		if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			_ = c.SetReadDeadline(time.Now().Add(lingerTime))
			_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
		}
	}
	defer c.leave()
	return c.Conn.Close()
}

// lingerOnClose makes the request's connection linger when it is closed.
func lingerOnClose(ctx *fasthttp.RequestCtx) {
	conn := ctx.Conn()
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if lingering, ok := conn.(*lingeringConn); ok {
		lingering.linger.Store(true)
	}
}
