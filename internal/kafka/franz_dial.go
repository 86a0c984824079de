package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"time"
)

// userTimeoutMargin is how much longer than a request the kernel waits for a broker's
// host to confirm what was sent. franz-go's own timeouts come first where they apply.
const userTimeoutMargin = 2 * time.Second

// franzDialer opens franz-go's connections.
type franzDialer struct {
	network       string // tcp, tcp4 or tcp6
	timeout       time.Duration
	userTimeout   time.Duration // Linux only
	keepAlive     bool
	delay         bool // Nagle's algorithm
	sendBuffer    int  // bytes; 0: the system's choice
	receiveBuffer int
	tls           *tls.Config // nil: plain
}

func (t *translation) dialer() franzDialer {
	family := t.oneOf("broker.address.family", "any", "v4", "v6")
	d := franzDialer{
		network:     map[string]string{"any": "tcp", "v4": "tcp4", "v6": "tcp6"}[family],
		timeout:     t.milliseconds("socket.connection.setup.timeout.ms", franzDialTimeout, 1000, math.MaxInt32, 0, math.MaxInt64),
		userTimeout: t.socketTimeout() + userTimeoutMargin,
		keepAlive:   t.boolean("socket.keepalive.enable", true),
		delay:       !t.boolean("socket.nagle.disable", true),
	}
	const mostBuffer = 100_000_000
	send, _ := t.number("socket.send.buffer.bytes", 0, mostBuffer)
	receive, _ := t.number("socket.receive.buffer.bytes", 0, mostBuffer)
	d.sendBuffer, d.receiveBuffer = int(send), int(receive)
	if t.tls {
		d.tls = t.tlsConfig()
	}
	return d
}

// dial opens a connection, with TLS if configured, within the timeout. franz-go always
// asks for "tcp".
func (d franzDialer) dial(ctx context.Context, _, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	dialer := net.Dialer{Control: setUserTimeout(d.userTimeout)}
	if !d.keepAlive {
		dialer.KeepAlive = -1
	}
	conn, err := dialer.DialContext(ctx, d.network, address)
	if err != nil {
		return nil, err
	}
	if err := d.prepare(conn); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the connection to %s: %w", address, err), conn.Close())
	}
	if d.tls == nil {
		return conn, nil
	}
	secure, err := d.secure(ctx, conn, address)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

// prepare sets what a socket can be told after it is connected.
func (d franzDialer) prepare(conn net.Conn) error {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return fmt.Errorf("it is a %T, not TCP", conn)
	}
	// A client that was given up must not send what the kernel has buffered: closing
	// discards it and resets the connection.
	err := tcp.SetLinger(0)
	if d.delay {
		err = errors.Join(err, tcp.SetNoDelay(false))
	}
	if d.sendBuffer > 0 {
		err = errors.Join(err, tcp.SetWriteBuffer(d.sendBuffer))
	}
	if d.receiveBuffer > 0 {
		err = errors.Join(err, tcp.SetReadBuffer(d.receiveBuffer))
	}
	return err
}

func (d franzDialer) secure(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	config := d.tls.Clone()
	config.ServerName = host
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, &TLSError{Address: address, Err: err}
	}
	return abruptTLS{secure}, nil
}

// TLSError is a handshake of franz-go's that failed.
type TLSError struct {
	Address string
	Err     error
}

func (e *TLSError) Error() string { return "TLS with " + e.Address + ": " + e.Err.Error() }

func (e *TLSError) Unwrap() error { return e.Err }

// abruptTLS closes a connection without TLS's farewell, which would wait up to 5 s for
// room in the socket of a broker that has stopped reading.
type abruptTLS struct{ *tls.Conn }

func (c abruptTLS) Close() error { return c.NetConn().Close() }
