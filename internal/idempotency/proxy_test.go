package idempotency

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy is a TCP connection to Redis that can be cut or stalled, or can lose replies.
type proxy struct {
	target string
	port   string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]struct{}
	gate     chan struct{} // not nil while stalled
	steal    int           // replies to lose, each with its connection

	wg sync.WaitGroup
}

func newProxy(t *testing.T, b backend) *proxy {
	t.Helper()
	p := &proxy{target: b.addr, port: "127.0.0.1:0", conns: map[net.Conn]struct{}{}}
	p.repair(t)
	p.port = p.listener.Addr().String()
	t.Cleanup(func() {
		p.flow()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.port }

// repair lets connections through again.
func (p *proxy) repair(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", p.port)
	require.NoError(t, err)
	p.mu.Lock()
	p.listener = l
	p.mu.Unlock()
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(conn) })
		}
	})
}

// cut ends all connections and refuses new ones.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.listener.Close()
	for c := range p.conns {
		_ = c.Close()
	}
}

// moveTo ends all connections and leads new ones to another server, as after a failover.
func (p *proxy) moveTo(t *testing.T, addr string) {
	t.Helper()
	p.cut()
	p.mu.Lock()
	p.target = addr
	p.mu.Unlock()
	p.repair(t)
}

// stall holds replies back until flow.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = make(chan struct{})
}

func (p *proxy) flow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gate != nil {
		close(p.gate)
		p.gate = nil
	}
}

// loseNextReply lets one command through and loses the reply.
func (p *proxy) loseNextReply() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steal++
}

func (p *proxy) repliesToLose() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.steal
}

func (p *proxy) serve(client net.Conn) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	server, err := net.Dial("tcp", target)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	closeBoth := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, client)
		delete(p.conns, server)
		_ = client.Close()
		_ = server.Close()
	}
	p.wg.Go(func() {
		_, _ = io.Copy(server, client)
		closeBoth()
	})
	defer closeBoth()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil || !p.mayPass() {
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) mayPass() bool {
	p.mu.Lock()
	gate := p.gate
	stolen := p.steal > 0
	if stolen {
		p.steal--
	}
	p.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return !stolen
}
