// Package link is a network link with a delay: a TCP proxy that passes on every byte
// a fixed time after it arrived. It does not limit throughput, since what arrives
// while other bytes wait waits beside them. Setting up a connection is not delayed.
package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"eventgateway/test/bench/internal/timer"
)

const (
	dialTimeout = 5 * time.Second
	readSize    = 256 << 10
	// maxPieces is how many pieces one direction of a connection holds back; 2 ms at
	// a million pieces per second. The reader stops at more.
	maxPieces = 2048
)

// Link is one listener and the connections through it.
type Link struct {
	listener *net.TCPListener
	target   string
	delay    time.Duration
	serving  sync.WaitGroup

	mu    sync.Mutex
	conns map[*net.TCPConn]bool // both ends of each; nil: closed
}

// New listens on a port of 127.0.0.1 and passes connections on to target, with the
// delay in each direction. The target is dialed for each connection and may start later.
func New(target string, delay time.Duration) (*Link, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start link to %s: %w", target, err)
	}
	l := &Link{listener: listener.(*net.TCPListener), target: target, delay: delay, conns: map[*net.TCPConn]bool{}}
	l.serving.Go(l.accept)
	return l, nil
}

// Addr is the host:port to connect to instead of the target's.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Close ends all connections and waits for them.
func (l *Link) Close() error {
	l.mu.Lock()
	conns := l.conns
	l.conns = nil
	l.mu.Unlock()
	err := l.listener.Close()
	for c := range conns {
		_ = c.Close()
	}
	l.serving.Wait()
	return err
}

func (l *Link) accept() {
	for {
		near, err := l.listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors: what is measured from here on is not valid
			slog.Error("the link accepts no more connections", "target", l.target, "error", err)
			_ = l.listener.Close()
			return
		}
		l.serving.Go(func() { l.serve(near) })
	}
}

func (l *Link) serve(near *net.TCPConn) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.Dial("tcp", l.target)
	if err != nil {
		reset(near)
		return
	}
	far := conn.(*net.TCPConn)
	defer func() { _, _ = near.Close(), far.Close() }() // what was written is still sent
	if !l.add(near, far) {
		return
	}
	defer l.remove(near, far)
	var ways sync.WaitGroup
	for _, way := range [][2]*net.TCPConn{{near, far}, {far, near}} {
		ways.Go(func() {
			if err := l.carry(way[0], way[1]); err != nil { // a connection that broke ends both ways
				reset(near)
				reset(far)
			}
		})
	}
	ways.Wait()
}

func (l *Link) add(conns ...*net.TCPConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		if l.conns == nil {
			return false
		}
		l.conns[c] = true
	}
	return true
}

func (l *Link) remove(conns ...*net.TCPConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		delete(l.conns, c)
	}
}

// piece is bytes that were read together, or the error that ended reading.
type piece struct {
	due   time.Time
	bytes []byte
	err   error
}

// carry moves bytes one way. After an end of the stream, the other way goes on.
func (l *Link) carry(from, to *net.TCPConn) error {
	clock, err := timer.New()
	if err != nil {
		return err
	}
	defer func() { _ = clock.Close() }()
	held := make(chan piece, maxPieces)
	var reading sync.WaitGroup
	reading.Go(func() { l.read(from, held) })
	defer reading.Wait()
	var failed error
	for p := range held {
		if failed != nil {
			continue // let the reader, whose connection is closed, end
		}
		failed = errors.Join(clock.SleepUntil(p.due), p.deliver(to))
		if failed != nil {
			reset(from)
		}
	}
	return failed
}

func (l *Link) read(from *net.TCPConn, held chan<- piece) {
	defer close(held)
	buffer := make([]byte, readSize)
	for {
		n, err := from.Read(buffer)
		due := time.Now().Add(l.delay)
		if n > 0 {
			held <- piece{due: due, bytes: append([]byte(nil), buffer[:n]...)}
		}
		if err != nil {
			held <- piece{due: due, err: err}
			return
		}
	}
}

func (p piece) deliver(to *net.TCPConn) error {
	if errors.Is(p.err, io.EOF) {
		return to.CloseWrite()
	}
	if p.err != nil {
		return p.err
	}
	_, err := to.Write(p.bytes)
	return err
}

// reset ends a connection at once, so that the other side sees it break.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}
