package torture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

// mode is what a proxy does to bytes.
type mode uint8

const (
	passOn mode = iota
	cut         // connections are reset, new ones too
	drop        // bytes are taken and thrown away: a half-open connection
	stall       // bytes are taken and held; they arrive when the stall ends
	slow        // every piece arrives late
)

func (m mode) String() string {
	return [...]string{"pass", "cut", "drop", "stall", "delay"}[m]
}

// direction says which bytes are meant.
type direction uint8

const (
	requests direction = 1 << iota // from the gateway
	answers                        // to it
	both     = requests | answers
)

func (d direction) String() string {
	return [...]string{"", "requests", "answers", "both ways"}[d]
}

// setting is a mode with what it needs.
type setting struct {
	mode  mode
	where direction
	delay time.Duration // of slow
}

// proxy is a TCP proxy on a fixed address.
type proxy struct {
	listener *net.TCPListener
	target   atomic.Pointer[string]
	serving  sync.WaitGroup

	mu      sync.Mutex
	now     setting
	changed chan struct{} // closed when now changes
	conns   map[*proxied]bool
	closed  bool
}

// proxied is one connection through a proxy.
type proxied struct {
	client, server *net.TCPConn
	spoiled        atomic.Uint32 // the directions that lost bytes, which cannot be used any more
}

func (c *proxied) usable(way direction) bool { return c.spoiled.Load()&uint32(way) == 0 }

const proxyDialTimeout = 2 * time.Second

func newProxy(target string) (*proxy, error) {
	var l net.Listener
	var err error
	for range 10 { // another process may take the port first
		var port int
		if port, err = services.FreePort(); err != nil {
			return nil, err
		}
		if l, err = net.Listen("tcp", loopback(port)); err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	p := &proxy{listener: l.(*net.TCPListener), changed: make(chan struct{}), conns: map[*proxied]bool{}}
	p.target.Store(&target)
	p.serving.Go(p.accept)
	return p, nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// set changes what happens from now on, also to open connections.
func (p *proxy) set(s setting) {
	p.mu.Lock()
	p.now = s
	var end []*proxied
	for c := range p.conns {
		if s.mode == cut {
			c.spoiled.Store(uint32(both)) // what is held must not arrive before the reset
		}
		if c.spoiled.Load() != 0 && s.mode != drop {
			end = append(end, c)
		}
	}
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	for _, c := range end {
		c.reset()
	}
}

func (p *proxy) heal() { p.set(setting{}) }

// loseAnswers holds answers for a moment and then resets every connection: whoever
// sent requests meanwhile learns nothing of what became of them.
func (p *proxy) loseAnswers(ctx context.Context, hold time.Duration) {
	p.set(setting{mode: stall, where: answers})
	backoff.Sleep(ctx, hold)
	p.set(setting{mode: cut})
	p.heal()
}

// retarget sends new connections elsewhere and ends those that are open.
func (p *proxy) retarget(target string) {
	p.target.Store(&target)
	p.mu.Lock()
	was := p.now
	p.mu.Unlock()
	p.set(setting{mode: cut})
	p.set(was)
}

func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.set(setting{mode: cut})
	p.serving.Wait()
}

func (p *proxy) setting() (setting, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now, p.changed
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		p.serving.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client *net.TCPConn) {
	if s, _ := p.setting(); s.mode == cut {
		resetConn(client)
		return
	}
	server, err := net.DialTimeout("tcp", *p.target.Load(), proxyDialTimeout)
	if err != nil {
		resetConn(client)
		return
	}
	c := &proxied{client: client, server: server.(*net.TCPConn)}
	p.mu.Lock()
	refuse := p.now.mode == cut || p.closed
	if !refuse {
		p.conns[c] = true
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, c)
		p.mu.Unlock()
		c.reset()
	}()
	if refuse {
		return
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { p.pump(c, client, c.server, requests) })
	pumps.Go(func() { p.pump(c, c.server, client, answers) })
	pumps.Wait()
}

// pump moves bytes one way until either side ends.
func (p *proxy) pump(c *proxied, from, to *net.TCPConn, way direction) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && p.admit(c, way) {
			if _, werr := to.Write(buf[:n]); werr != nil {
				_ = from.CloseRead()
				return
			}
		}
		if err != nil {
			if p.admit(c, way) { // an end is delayed like bytes, and lost where bytes are dropped
				_ = to.CloseWrite()
			}
			return
		}
	}
}

// admit waits for as long as bytes are held, and reports whether they are passed on.
func (p *proxy) admit(c *proxied, way direction) bool {
	for {
		s, changed := p.setting()
		if s.where&way == 0 {
			return c.usable(way)
		}
		switch s.mode {
		case drop:
			c.spoiled.Or(uint32(way))
			return false
		case stall:
			<-changed
			continue
		case slow:
			timer := time.NewTimer(s.delay)
			select {
			case <-timer.C:
			case <-changed:
				timer.Stop()
			}
		case cut, passOn:
		}
		return c.usable(way)
	}
}

func (c *proxied) reset() {
	resetConn(c.client)
	resetConn(c.server)
}

// resetConn ends a connection at once, with a reset.
func resetConn(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}
