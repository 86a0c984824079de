package api

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// Only this file reads the address of the client, and the scheme and host by which it
// reached the gateway. X-Forwarded-… headers count only if the connection comes from a
// trusted proxy (http.trusted_proxies): otherwise any caller could set them. fiber
// trusts X-Forwarded-Proto of everybody, and takes the first X-Forwarded-For, which
// the caller chooses; so its methods are not used. Forwarded (RFC 7239) is not read: a
// proxy that sets one of the two kinds lets the other pass as the caller wrote it.

// addresses finds the client's address and the URL that it used.
type addresses struct {
	trusted   []netip.Prefix // proxies that may say, in X-Forwarded-… headers, who calls
	publicURL string         // where clients reach the gateway; empty: as their requests say
}

// client is where the connection comes from, or, behind trusted proxies, the last
// address in X-Forwarded-For that is not one of theirs.
func (a addresses) client(c *fiber.Ctx) string {
	direct, ok := a.proxy(c)
	if !ok {
		return c.Context().RemoteAddr().String()
	}
	last := direct
	hops := strings.Split(forwarded(c, fiber.HeaderXForwardedFor), ",")
	for _, hop := range slices.Backward(hops) {
		address, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			break // nobody vouches for the addresses before it
		}
		last = address
		if !a.trusts(address) {
			break
		}
	}
	return last.String()
}

// address is client without a port; invalid if it is not an address.
func (a addresses) address(c *fiber.Ctx) netip.Addr {
	if len(a.trusted) == 0 { // spares parsing
		tcp, ok := c.Context().RemoteAddr().(*net.TCPAddr)
		if !ok {
			return netip.Addr{}
		}
		return tcp.AddrPort().Addr()
	}
	address, _ := parseHop(a.client(c))
	return address
}

// proxy is the address that the connection comes from, and whether it is that of a
// trusted proxy.
func (a addresses) proxy(c *fiber.Ctx) (netip.Addr, bool) {
	if len(a.trusted) == 0 {
		return netip.Addr{}, false
	}
	tcp, ok := c.Context().RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	address := tcp.AddrPort().Addr().Unmap().WithZone("")
	return address, a.trusts(address)
}

func (a addresses) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(a.trusted, func(p netip.Prefix) bool { return p.Contains(address) })
}

// parseHop reads an address with or without a port.
func parseHop(text string) (netip.Addr, bool) {
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		address = withPort.Addr()
	}
	return address.Unmap().WithZone(""), true
}

// forwarded is a header's value, its lines joined as one list.
func forwarded(c *fiber.Ctx, name string) string {
	var lines []string
	for _, line := range c.Request().Header.PeekAll(name) {
		lines = append(lines, string(line))
	}
	return strings.Join(lines, ",")
}

// reached is the scheme and the host by which the caller reached the gateway. Of
// several values the last counts: the nearest proxy put it there.
func (a addresses) reached(c *fiber.Ctx) (scheme, host string) {
	scheme, host = "http", string(c.Request().Host())
	if c.Context().IsTLS() {
		scheme = "https"
	}
	if _, ok := a.proxy(c); !ok {
		return scheme, host
	}
	if value := lastOf(forwarded(c, fiber.HeaderXForwardedProto)); value == "http" || value == "https" {
		scheme = value
	}
	if value := lastOf(forwarded(c, fiber.HeaderXForwardedHost)); value != "" {
		host = value
	}
	return scheme, host
}

func lastOf(list string) string {
	return strings.ToLower(strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:]))
}

var plainHost = regexp.MustCompile(`^[A-Za-z0-9.:\[\]-]{1,255}$`)

// origin is the URL at which the client reaches the gateway. The Host header goes into
// lines that people paste into shells, so only a plain one is used.
func (a addresses) origin(c *fiber.Ctx) string {
	if a.publicURL != "" {
		return strings.TrimSuffix(a.publicURL, "/")
	}
	if scheme, host := a.reached(c); plainHost.MatchString(host) {
		return scheme + "://" + host
	}
	return "http://127.0.0.1:8080"
}
