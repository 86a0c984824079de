package rate

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// addressSlots bounds the memory of Addresses, some 400 KiB. Two addresses share a slot
// rarely, and nobody can choose whose: the hash has a secret seed.
const addressSlots = 8192

// Addresses limits the calls of each address, in this process: an IPv4 address, or an
// IPv6 /64, which is what a subscriber usually has. It is safe for concurrent use.
type Addresses struct {
	limit Limit
	seed  maphash.Seed

	mu     sync.Mutex
	guards []guard
}

// NewAddresses returns an Addresses; nil, which lets every call through, for no limit.
func NewAddresses(limit Limit) *Addresses {
	if limit.IsZero() {
		return nil
	}
	return &Addresses{limit: limit, seed: maphash.MakeSeed(), guards: make([]guard, addressSlots)}
}

// Take decides about a call from an address. An invalid one counts like any other. Calls for
// different purposes are counted apart: callers must not be able to invent one.
func (a *Addresses) Take(address netip.Addr, purpose string) Decision {
	if a == nil {
		return Decision{Allowed: true}
	}
	slot := maphash.Comparable(a.seed, addressKey{Subscriber(address), purpose}) % addressSlots
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	g := &a.guards[slot]
	if g.at.IsZero() {
		*g = guard{limit: a.limit, tokens: float64(a.limit.Burst()), at: now}
	}
	ok, after := g.take(now, 1)
	return Decision{Limit: a.limit, Allowed: ok, RetryAfter: after}
}

type addressKey struct {
	subscriber netip.Prefix
	purpose    string
}

// Subscriber is the prefix that an address is counted under.
func Subscriber(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
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
