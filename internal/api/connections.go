package api

import (
	"net"
	"net/netip"
	"sync"
)

// connections counts what is open, in all and by address, and says when it is enough.
// An IPv6 address stands for its /64, which is what a subscriber usually has.
type connections struct {
	most, mostPerAddress int // 0: no limit

	mu        sync.Mutex
	open      int
	byAddress map[netip.Prefix]int // empty without a limit per address
}

// Why a connection was refused; a metric's label.
const (
	tooMany           = "max_connections"
	tooManyPerAddress = "max_connections_per_address"
)

// enter counts a connection until leave is called, or says why it may not be.
func (c *connections) enter(remote net.Addr) (leave func(), refusal string) {
	subscriber := c.subscriber(remote)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most > 0 && c.open >= c.most {
		return nil, tooMany
	}
	if subscriber.IsValid() {
		if c.byAddress[subscriber] >= c.mostPerAddress {
			return nil, tooManyPerAddress
		}
		if c.byAddress == nil {
			c.byAddress = map[netip.Prefix]int{}
		}
		c.byAddress[subscriber]++
	}
	c.open++
	return sync.OnceFunc(func() { c.leave(subscriber) }), ""
}

func (c *connections) leave(subscriber netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if !subscriber.IsValid() {
		return
	}
	if c.byAddress[subscriber]--; c.byAddress[subscriber] == 0 {
		delete(c.byAddress, subscriber)
	}
}

func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// subscriber is whom an address is counted for; invalid where nobody counts.
func (c *connections) subscriber(remote net.Addr) netip.Prefix {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok || c.mostPerAddress == 0 {
		return netip.Prefix{}
	}
	address := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := 64
	if address.Is4() {
		bits = 32
	}
	prefix, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
