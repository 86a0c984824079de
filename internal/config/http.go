package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// HTTPCORS says which pages of other origins may call from a browser.
type HTTPCORS struct {
	Origins []string `yaml:"origins"` // exact, for example https://shop.example.com; or "*" alone, where everybody may call anyway
	Headers []string `yaml:"headers"` // that pages may send, besides those that the gateway reads; or "*" alone
}

// AnyOrigin stands for all origins, AnyHeader for all headers.
const (
	AnyOrigin = "*"
	AnyHeader = "*"
)

// maxIdleTimeout is longer than any balancer keeps a connection: AWS' allow 6,000 s.
const maxIdleTimeout = 24 * time.Hour

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
	v.check(h.TokenLimit > 0, "http.token_limit", "must be more than 0", "write for example 500000")
	v.check((h.TLS.Cert == "") == (h.TLS.Key == ""), "http.tls", "has one of cert and key", "give both, or neither for plain HTTP")
	v.check(h.TLS.ClientCA == "" || h.TLS.Enabled(), "http.tls.client_ca", "is given without cert and key: clients show certificates over TLS only", "give those too, or remove it")
	v.check(len(h.TLS.ClientNames) > 0, "http.tls.client_names", "is empty, so no certificate could name a client", "write [dns]")
	for i, kind := range h.TLS.ClientNames {
		oneOf(v, fmt.Sprintf("http.tls.client_names[%d]", i), kind, CertificateDNS, CertificateURI, CertificateEmail)
	}
	v.hosts("http.hosts", h.Hosts)
	v.hosts("admin.hosts", admin.Hosts)
	v.check(h.MaxConnections >= 0, "http.max_connections", "is negative", "write for example 10000, or 0 for no limit")
	v.check(h.MaxConnectionsPerAddress >= 0, "http.max_connections_per_address", "is negative", "write for example 100, or 0 for no limit")
	v.check(h.ReadTimeout > 0, "http.read_timeout", "must be more than 0", "write for example 10s")
	v.check(h.IdleTimeout > 0, "http.idle_timeout", "must be more than 0", "write for example 2m, or 620s behind Google's load balancers")
	v.check(h.IdleTimeout <= maxIdleTimeout, "http.idle_timeout", "must be at most "+maxIdleTimeout.String(), "write for example 2m, or 620s behind Google's load balancers")
}

// hosts checks names that a Host header may have.
func (v validator) hosts(path string, names []string) {
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", path, i)
		v.check(hostname.MatchString(name), at, v.show(at, name)+" is not the name of a host", "write it without scheme and port, for example events.example.com")
	}
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
		v.check(isOrigin(origin), at, v.show(at, origin)+" is not an origin", "write scheme and host as browsers send them, for example https://shop.example.com, http://localhost:3000 or capacitor://localhost: in small letters, without path and standard port")
		v.check(!slices.Contains(h.CORS.Origins[:i], origin), at, "is listed twice", "name each once")
	}
	v.corsHeaders()
	for i, cidr := range h.TrustedProxies {
		at := fmt.Sprintf("http.trusted_proxies[%d]", i)
		p, err := netip.ParsePrefix(cidr)
		v.check(err == nil, at, v.show(at, cidr)+" is not a range of addresses", "write for example 10.0.0.0/8, or 192.0.2.7/32 for one address")
		v.check(err != nil || p == p.Masked(), at, v.show(at, cidr)+" has bits set after its prefix", "write "+p.Masked().String())
		v.check(err != nil || p.Bits() > 0, at, "trusts everyone, so every caller could choose its address", "name the proxies' addresses")
	}
}

// corsHeaders checks the names of headers that pages may send.
func (v validator) corsHeaders() {
	names := v.c.HTTP.CORS.Headers
	for i, name := range names {
		at := fmt.Sprintf("http.cors.headers[%d]", i)
		if name == AnyHeader {
			v.check(len(names) == 1, at, "includes the other headers in the list", "keep one of the two")
			continue
		}
		v.check(headerName.MatchString(name), at, v.show(at, name)+" is not a header's name", "write for example X-Tenant-Id")
		v.check(!browserHeader.MatchString(name), at, v.show(at, name)+" is a header that browsers never let pages set", "remove it")
		twice := slices.ContainsFunc(names[:i], func(other string) bool { return strings.EqualFold(other, name) })
		v.check(!twice, at, "is listed twice: case does not matter", "name each once")
	}
}

var (
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$") // RFC 9110 §5.6.2
	// browserHeader matches the headers that pages cannot set (Fetch §2.2.2).
	browserHeader = regexp.MustCompile("^(?i:accept-charset|accept-encoding|access-control-request-(headers|method|private-network)|connection|content-length|cookie2?|date|dnt|expect|" +
		"host|keep-alive|origin|referer|set-cookie|te|trailer|transfer-encoding|upgrade|via|(proxy|sec)-.*)$")
	// originScheme is a scheme as browsers write it; apps have their own (capacitor, tauri).
	originScheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)
)

// opaqueSchemes have no origin to name: browsers send "null" for their pages, or, for
// files, "file://" for every file on the machine.
var opaqueSchemes = []string{"about", "blob", "data", "file", "javascript"}

// isOrigin reports whether text is an origin as browsers serialise it (RFC 6454 §6.2).
// One that differs by a letter would never match.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || !originScheme.MatchString(u.Scheme) || slices.Contains(opaqueSchemes, u.Scheme) || u.Hostname() == "" || u.Scheme+"://"+u.Host != text {
		return false
	}
	if port := u.Port(); port == "" && u.Host[len(u.Host)-1] == ':' || port != "" && port == standardPorts[u.Scheme] {
		return false
	}
	_, foldsCase := standardPorts[u.Scheme]
	for _, r := range u.Host {
		if r < 0x21 || r > 0x7e || foldsCase && r >= 'A' && r <= 'Z' || r == '*' || r == '%' {
			return false
		}
	}
	return true
}

// standardPorts are those of the schemes whose ports browsers leave out and whose hosts
// they write in small letters (WHATWG URL §3.1). They keep the hosts of others as they are.
var standardPorts = map[string]string{"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21"}
