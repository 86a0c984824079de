package app

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"eventgateway/internal/config"
)

// hosts are the names by which programs may reach a listener. A browser that opens a page
// of evil.example, whose name was then rebound to this machine's address (DNS rebinding),
// takes the gateway for the page's own origin, but still says Host: evil.example. Such a
// name is one in the public DNS, so addresses and names that cannot be there always pass.
type hosts map[string]bool

// publicHosts are those of the public listener; nil, which lets all pass, where callers
// must authenticate, or where pages of every origin may call anyway.
func publicHosts(cfg *config.Config) func(string) bool {
	if !cfg.Auth.None || cfg.HTTP.TLS.Enabled() || len(cfg.HTTP.CORS.Origins) == 1 && cfg.HTTP.CORS.Origins[0] == config.AnyOrigin {
		return nil
	}
	named := append([]string{}, cfg.HTTP.Hosts...)
	if u, err := url.Parse(cfg.HTTP.PublicURL); err == nil {
		named = append(named, u.Hostname())
	}
	return newHosts(cfg.HTTP.Listen, named).allow
}

// adminHosts are those of the admin listener.
func adminHosts(cfg *config.Config) func(string) bool {
	return newHosts(cfg.Admin.Listen, cfg.Admin.Hosts).allow
}

func newHosts(listen string, named []string) hosts {
	h := hosts{}
	if host, _, err := net.SplitHostPort(listen); err == nil {
		named = append(named[:len(named):len(named)], host)
	}
	if own, err := os.Hostname(); err == nil {
		named = append(named, own)
	}
	for _, name := range append(named, documentHosts...) {
		h[strings.ToLower(strings.TrimSuffix(name, "."))] = true
	}
	return h
}

// documentHosts are for documents (RFC 2606 §3), whose requests people copy: nobody can
// rebind them.
var documentHosts = []string{"example.com", "example.net", "example.org"}

// localEndings end names that are never in the public DNS (RFC 6761, ICANN's reserved
// .internal) or are those of a cluster's services.
var localEndings = []string{".localhost", ".internal", ".svc", ".cluster.local"}

// allow takes the value of a Host header. Browsers always send one.
func (h hosts) allow(value string) bool {
	host := value
	if name, _, err := net.SplitHostPort(value); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") || h[host] {
		return true
	}
	for _, ending := range localEndings {
		if strings.HasSuffix(host, ending) {
			return true
		}
	}
	return false
}
