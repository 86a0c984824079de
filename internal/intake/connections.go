package intake

import (
	"net"
	"net/netip"
	"sync"
)

// connections counts open connections, in all and by address, and enforces the limits.
// An IPv6 address counts as its /64, which is what a subscriber usually has.
type connections struct {
	most, mostPerAddress int // 0: no limit

	mu        sync.Mutex
	open      int
	byAddress map[netip.Prefix]int // empty without a limit per address
}

// The limits for which connections are refused: labels of a metric.
const (
	TooManyConnections = "max_connections"
	TooManyPerAddress  = "max_connections_per_address"
)

// enter counts a connection until leave is called, or returns the limit that refuses it.
func (c *connections) enter(remote net.Addr) (leave func(), refusal string) {
	subscriber := c.subscriber(remote)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most > 0 && c.open >= c.most {
		return nil, TooManyConnections
	}
	if subscriber.IsValid() {
		if c.byAddress[subscriber] >= c.mostPerAddress {
			return nil, TooManyPerAddress
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

// subscriber is the prefix that an address is counted under; invalid without a limit
// per address.
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
