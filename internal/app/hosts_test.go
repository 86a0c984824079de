package app

import (
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/config"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	cfg := config.Defaults()
	cfg.Auth = config.Auth{None: true}
	cfg.HTTP.PublicURL, cfg.HTTP.Hosts, cfg.HTTP.Listen = "https://events.example.com/in", []string{"Gateway.example.org"}, "lan.example.net:8080"
	cfg.Admin.Hosts = []string{"metrics.example.org"}
	public, admin := publicHosts(cfg), adminHosts(cfg)
	for host, want := range map[string]struct{ public, admin bool }{
		"127.0.0.1:8080": {true, true}, "localhost": {true, true}, "LOCALHOST:8080": {true, true}, "a.localhost:1": {true, true}, "[::1]:8080": {true, true}, "[::1]": {true, true},
		"10.3.2.1:9090": {true, true}, "": {true, true}, "gateway:8080": {true, true}, "gateway.default.svc": {true, true}, "gateway.default.svc.cluster.local:8080": {true, true},
		"host.docker.internal": {true, true}, "events.example.com": {true, false}, "events.example.com.:443": {true, false}, "gateway.example.org:8080": {true, false},
		"lan.example.net": {true, false}, "metrics.example.org": {false, true},
		"example.com": {true, true}, "evil.example.com": {}, "evil.example": {}, "evil.example:8080": {}, "EVIL.example": {}, "127.0.0.1.evil.example": {}, "localhost.evil.example": {}, "events.example.com.evil.example": {},
		"xevents.example.com": {}, "evil.example.": {}, "evil.local": {},
	} {
		require.Equal(t, want.public, public(host), host)
		require.Equal(t, want.admin, admin(host), host)
	}
	for name, change := range map[string]func(*config.Config){
		"callers authenticate":  func(c *config.Config) { c.Auth = config.Auth{} },
		"pages of every origin": func(c *config.Config) { c.HTTP.CORS.Origins = []string{"*"} },
		"TLS":                   func(c *config.Config) { c.HTTP.TLS.Cert = "cert.pem" },
	} {
		other := *cfg
		change(&other)
		require.Nil(t, publicHosts(&other), name)
	}
}
