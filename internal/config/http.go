package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// HTTPCORS says which pages of other origins may call from a browser.
type HTTPCORS struct {
	Origins []string `yaml:"origins"` // exact, for example https://shop.example.com; or "*" alone, where everybody may call anyway
}

// AnyOrigin stands for all origins.
const AnyOrigin = "*"

func (v validator) http() {
	h, admin := v.c.HTTP, v.c.Admin
	v.listen("http.listen", h.Listen)
	v.listen("admin.listen", admin.Listen)
	v.check(!sameListener(h.Listen, admin.Listen) || v.known.has("http.listen"), "admin.listen",
		"listens where http.listen does", "give it a port of its own, for example 127.0.0.1:9090")

	problem, fix := checkPublicURL(h.PublicURL, v.show("http.public_url", h.PublicURL))
	v.check(problem == "", "http.public_url", problem, fix)

	v.check(h.BodyLimit > 0, "http.body_limit", "must be more than 0", "write for example 900KiB")
	v.check(h.BodyLimit <= maxBodyLimit, "http.body_limit", "must be at most "+maxBodyLimit.String(), "write for example 900KiB; keep large files elsewhere and publish their address")
	v.check(h.BodyLimit <= h.InFlightLimit || v.known.has("http.in_flight_limit"), "http.body_limit",
		fmt.Sprintf("is more than http.in_flight_limit (%s), so the largest body would never be let in", h.InFlightLimit), "lower it or raise the other")
	v.check((h.TLS.Cert == "") == (h.TLS.Key == ""), "http.tls", "has one of cert and key", "give both, or neither for plain HTTP")
	v.check(h.TLS.ClientCA == "" || h.TLS.Enabled(), "http.tls.client_ca", "is given without cert and key: clients show certificates over TLS only", "give those too, or remove it")
	v.check(h.MaxConnections >= 0, "http.max_connections", "is negative", "write for example 10000, or 0 for no limit")
	v.check(h.MaxConnectionsPerAddress >= 0, "http.max_connections_per_address", "is negative", "write for example 100, or 0 for no limit")
	v.check(h.ReadTimeout > 0, "http.read_timeout", "must be more than 0", "write for example 10s")
}

func checkPublicURL(text, shown string) (problem, fix string) {
	const example = "write for example https://events.example.com, or nothing"
	if text == "" {
		return "", ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return shown + " is not an absolute http or https URL", example
	case u.User != nil:
		return "holds a user name, and the URL is public", example
	case strings.ContainsAny(text, "?#"):
		return shown + " has a query or a fragment", example
	case strings.HasSuffix(text, "/"):
		return shown + " ends with a slash, and paths are appended to it", "remove the slash"
	}
	return "", ""
}

// browsersAndProxies checks what the gateway trusts between itself and its callers.
func (v validator) browsersAndProxies() {
	h := v.c.HTTP
	for i, origin := range h.CORS.Origins {
		at := fmt.Sprintf("http.cors.origins[%d]", i)
		if origin == AnyOrigin {
			v.check(v.c.Auth.None, at, "lets pages of every origin call, although callers must authenticate", "list the origins, for example https://shop.example.com")
			v.check(len(h.CORS.Origins) == 1, at, "includes the other origins in the list", "keep one of the two")
			continue
		}
		v.check(isOrigin(origin), at, v.show(at, origin)+" is not an origin", "write scheme and host as browsers send them, for example https://shop.example.com or http://localhost:3000: in small letters, without path and standard port")
		v.check(!slices.Contains(h.CORS.Origins[:i], origin), at, "is listed twice", "name each once")
	}
	for i, cidr := range h.TrustedProxies {
		at := fmt.Sprintf("http.trusted_proxies[%d]", i)
		p, err := netip.ParsePrefix(cidr)
		v.check(err == nil, at, v.show(at, cidr)+" is not a range of addresses", "write for example 10.0.0.0/8, or 192.0.2.7/32 for one address")
		v.check(err != nil || p == p.Masked(), at, v.show(at, cidr)+" has bits set after its prefix", "write "+p.Masked().String())
		v.check(err != nil || p.Bits() > 0, at, "trusts everyone, so every caller could choose its address", "name the proxies' addresses")
	}
}

// isOrigin reports whether text is an origin as browsers serialise it (RFC 6454 §6.2).
// One that differs by a letter would never match.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Scheme+"://"+u.Host != text {
		return false
	}
	standard := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	if u.Port() == standard || u.Port() == "" && u.Host[len(u.Host)-1] == ':' {
		return false
	}
	for _, r := range u.Host {
		if r < 0x21 || r > 0x7e || r >= 'A' && r <= 'Z' || r == '*' || r == '%' {
			return false
		}
	}
	return true
}
