package endpoint

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// denied are the ranges that are not the public Internet, by the registries of special
// addresses (RFC 6890, IANA).
var denied = prefixes(
	"0.0.0.0/8",       // this network
	"10.0.0.0/8",      // private
	"100.64.0.0/10",   // carrier-grade NAT
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local, metadata services
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays
	"192.168.0.0/16",  // private
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, broadcast
	"::/128", "::1/128",
	"::/96",        // IPv4-compatible, deprecated
	"64:ff9b::/96", // NAT64: leads to any IPv4 address
	"64:ff9b:1::/48",
	"100::/64",      // discard
	"2001::/23",     // protocol assignments, Teredo among them
	"2001:db8::/32", // documentation
	"2002::/16",     // 6to4: leads to any IPv4 address
	"3fff::/20",     // documentation
	"5f00::/16",     // segment routing
	"fc00::/7",      // private
	"fe80::/10",     // link-local
	"fec0::/10",     // site-local, deprecated
	"ff00::/8",      // multicast
)

// metadata are the addresses of cloud providers' metadata services. No allow list opens them.
var metadata = prefixes(
	"169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32", "169.254.169.253/32", // AWS, Azure, Google, Oracle, DigitalOcean
	"100.100.100.200/32", // Alibaba
	"192.0.0.192/32",     // Oracle
	"168.63.129.16/32",   // Azure's wire server
	"fd00:ec2::254/128", "fd00:ec2::23/128", "fd20:ce::254/128",
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// BlockedError is the guard's refusal of an address.
type BlockedError struct{ Reason string }

func (e *BlockedError) Error() string { return e.Reason }

// guard decides which addresses may be dialled.
type guard struct {
	allow []netip.Prefix
	plain bool // for http:, which is only for addresses within allow
}

// control is called with each address just before it is connected to: a name that
// resolves to something else by then is judged by what it resolves to.
func (g guard) control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return &BlockedError{Reason: "the network " + network + " is not used for endpoints"}
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return &BlockedError{Reason: "the address cannot be read"}
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return &BlockedError{Reason: "the address cannot be read"}
	}
	return g.judge(ip)
}

// judge returns a BlockedError, or nil if the address may be dialled.
func (g guard) judge(ip netip.Addr) error {
	if ip.Zone() != "" {
		return &BlockedError{Reason: "the endpoint resolves to an address with a zone"}
	}
	ip = ip.Unmap()
	has := func(list []netip.Prefix) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(ip) })
	}
	switch {
	case has(metadata):
		return &BlockedError{Reason: fmt.Sprintf("the endpoint resolves to %s, which is a metadata service: allow_cidrs cannot open it", ip)}
	case has(g.allow):
		return nil
	case has(denied):
		return &BlockedError{Reason: fmt.Sprintf("the endpoint resolves to %s, which is not a public address; if it is meant, name its range in allow_cidrs", ip)}
	case g.plain:
		return &BlockedError{Reason: fmt.Sprintf("the endpoint resolves to %s, which is outside allow_cidrs, and http: is only for addresses within it", ip)}
	}
	return nil
}
