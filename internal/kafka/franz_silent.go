package kafka

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// silentPause is how long no second connection is opened to an address whose last
	// one was not answered. A frozen host accepts connections. Without the pause each
	// request that franz-go has for its broker would wait for an answer in turn, twice,
	// before its records go to the partition's new leader.
	silentPause = time.Second
	// silentAfter is how long a connection must have been open to count as not
	// answered: clients that are closed end theirs sooner.
	silentAfter = 400 * time.Millisecond
)

var errSilent = errors.New("the last connection to it was not answered")

// silentHosts opens connections unless an address is known to take them and not to
// answer, or not even to take them.
type silentHosts struct {
	open func(ctx context.Context, network, address string) (net.Conn, error)

	mu       sync.Mutex
	until    map[string]time.Time // the next connection
	answered map[string]time.Time // last, by a connection that was new or by refusing one
}

func newSilentHosts(open func(ctx context.Context, network, address string) (net.Conn, error)) *silentHosts {
	return &silentHosts{open: open, until: map[string]time.Time{}, answered: map[string]time.Time{}}
}

// dial opens a connection. franz-go asks for new metadata after an error of it.
func (s *silentHosts) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if s.silent(address) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: hostAddress(address), Err: errSilent}
	}
	began := time.Now()
	conn, err := s.open(ctx, network, address)
	var failure net.Error
	switch {
	case err == nil:
		return &watchedConn{Conn: conn, hosts: s, address: address, opened: time.Now()}, nil
	case ctx.Err() != nil:
		if time.Since(began) < silentAfter {
			s.release(address)
		}
	case errors.As(err, &failure) && failure.Timeout():
		s.add(address, began)
	case errors.Is(err, syscall.ECONNREFUSED): // an answer
		s.remove(address)
	}
	return nil, err
}

// silent reports whether no connection is to be opened now. After a pause it lets one
// through.
func (s *silentHosts) silent(address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, known := s.until[address]
	now := time.Now()
	if known && now.After(until) {
		s.until[address] = now.Add(silentPause)
	}
	return known && now.Before(until)
}

// add notes that nothing was heard since opened, unless another connection was answered.
func (s *silentHosts) add(address string, opened time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.answered[address].After(opened) {
		s.until[address] = time.Now().Add(silentPause)
	}
}

// release lets another connection through: the caller of the last one gave up.
func (s *silentHosts) release(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.until[address]; known {
		s.until[address] = time.Now()
	}
}

func (s *silentHosts) remove(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.until, address)
	s.answered[address] = time.Now()
}

// watchedConn is a connection until and after its first answer.
type watchedConn struct {
	net.Conn
	hosts   *silentHosts
	address string
	opened  time.Time
	heard   atomic.Bool
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.heard.Load() && c.heard.CompareAndSwap(false, true) {
		c.hosts.remove(c.address)
	}
	return n, err
}

func (c *watchedConn) Close() error {
	if !c.heard.Load() && time.Since(c.opened) >= silentAfter {
		c.hosts.add(c.address, c.opened)
	}
	return c.Conn.Close()
}

// hostAddress is a host and port as franz-go has them.
type hostAddress string

func (hostAddress) Network() string  { return "tcp" }
func (a hostAddress) String() string { return string(a) }
