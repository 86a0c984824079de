package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
)

// HTTPCORS says which pages of other origins may call from a browser.
type HTTPCORS struct {
	Origins []string `yaml:"origins"` // exact, for example https://shop.example.com; or "*" alone, where everybody may call anyway
}

// AnyOrigin stands for all origins.
const AnyOrigin = "*"

// edge checks what stands between the gateway and browsers.
func (v validator) edge() {
	h := v.c.HTTP
	for i, origin := range h.CORS.Origins {
		at := fmt.Sprintf("http.cors.origins[%d]", i)
		if origin == AnyOrigin {
			v.check(v.c.Auth.None, at, "lets pages of every origin call, and somebody is asked who calls", "list the origins, for example https://shop.example.com")
			v.check(len(h.CORS.Origins) == 1, at, "stands beside other origins, which it includes", "keep one of the two")
			continue
		}
		v.check(isOrigin(origin), at, v.show(at, origin)+" is no origin", "write scheme and host as browsers send them, for example https://shop.example.com or http://localhost:3000: in small letters, without path and standard port")
		v.check(!slices.Contains(h.CORS.Origins[:i], origin), at, "is there twice", "name each once")
	}
	for i, cidr := range h.TrustedProxies {
		at := fmt.Sprintf("http.trusted_proxies[%d]", i)
		p, err := netip.ParsePrefix(cidr)
		v.check(err == nil, at, v.show(at, cidr)+" is no range of addresses", "write for example 10.0.0.0/8, or 192.0.2.7/32 for one address")
		v.check(err != nil || p == p.Masked(), at, v.show(at, cidr)+" has bits behind its length", "write "+p.Masked().String())
		v.check(err != nil || p.Bits() > 0, at, "trusts everybody, so that every caller could say which address it has", "name the proxies' addresses")
	}
}

// isOrigin reports whether text is an origin as browsers serialise it (RFC 6454 §6.2):
// what differs by a letter would never match.
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
