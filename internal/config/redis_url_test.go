package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRedisURLs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		yaml  string
		want  Redis // zero: an error, which has the text wrong
		wrong string
	}{
		"addresses": {"addresses: [a:1, b:2]", Redis{Addresses: []string{"a:1", "b:2"}}, ""},
		"plain":     {"addresses: [redis://a:1]", Redis{Addresses: []string{"a:1"}}, ""},
		"TLS":       {"addresses: [rediss://a]", Redis{Addresses: []string{"a:6379"}, TLS: RedisTLS{Enabled: true}}, ""},
		"everything": {"addresses: ['rediss://gateway:p%40ss@a:1/0', 'rediss://gateway:p%40ss@[::1]:2/']", Redis{
			Addresses: []string{"a:1", "[::1]:2"}, Username: "gateway", Password: "p@ss", TLS: RedisTLS{Enabled: true},
		}, ""},
		"only a password": {"addresses: ['redis://:p@a:1']", Redis{Addresses: []string{"a:1"}, Password: "p"}, ""},
		"said twice": {"{addresses: ['rediss://u:p@a:1'], username: u, password: p, tls: {enabled: true, server_name: s}}", Redis{
			Addresses: []string{"a:1"}, Username: "u", Password: "p", TLS: RedisTLS{Enabled: true, ServerName: "s"},
		}, ""},
		"one address of a cluster": {"{addresses: ['redis://a:1'], cluster: true}", Redis{Addresses: []string{"a:1"}, Cluster: true}, ""},

		"another scheme":      {"addresses: ['http://a:1']", Redis{}, "redis.addresses[0]: is not a URL of a Redis"},
		"another database":    {"addresses: ['redis://a:1/3']", Redis{}, "redis.addresses[0]: is not a URL of a Redis"},
		"settings":            {"addresses: ['redis://a:1?db=0']", Redis{}, "redis.addresses[0]: is not a URL of a Redis"},
		"no host":             {"addresses: ['redis://:1']", Redis{}, "redis.addresses[0]: is not a URL of a Redis"},
		"mixed":               {"addresses: ['redis://a:1', 'b:2']", Redis{}, "redis.addresses[1]: is not a URL of a Redis"},
		"schemes differ":      {"addresses: ['redis://a:1', 'rediss://b:2']", Redis{}, "redis.addresses[1]: differs from the URL before"},
		"passwords differ":    {"addresses: ['redis://:secret@a:1', 'redis://:hidden@b:2']", Redis{}, "redis.addresses[1]: differs from the URL before"},
		"not encrypted":       {"{addresses: ['redis://a:1'], tls: {enabled: true}}", Redis{}, "has redis:// URLs although redis.tls is enabled"},
		"another password":    {"{addresses: ['redis://:secret@a:1'], password: hidden}", Redis{}, "has another password than redis.password"},
		"another user":        {"{addresses: ['redis://u:secret@a:1'], username: v, password: secret}", Redis{}, "has another user name than redis.username"},
		"a user, no password": {"addresses: ['redis://u@a:1']", Redis{}, "redis.username: is given without redis.password"},
		"twice":               {"addresses: ['redis://a', 'redis://a:6379']", Redis{}, "redis.addresses[1]: is the same address as item 0"},
		"broken":              {"addresses: ['redis://:sec%ret@a']", Redis{}, "redis.addresses[0]: is not a URL of a Redis"},
		"cluster and master":  {"{addresses: ['a:1'], cluster: true, master: m}", Redis{}, "redis.cluster: is given with redis.master"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := c.yaml
			if text[0] != '{' {
				text = "{" + text + "}"
			}
			cfg, err := load("gateway.yaml", []byte("auth: none\nredis: "+text+"\n"), nil)
			if c.wrong != "" {
				require.ErrorContains(t, err, c.wrong)
				require.NotContains(t, err.Error(), "sec", "no password in an error")
				require.NotContains(t, err.Error(), "hidden")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, cfg.Redis)
			require.NoError(t, cfg.Validate(), "a second time, after flags")
			require.Equal(t, c.want, cfg.Redis)
		})
	}
}

func TestInstallation(t *testing.T) {
	t.Parallel()
	for value, ok := range map[string]bool{"orders-production": true, "A.b_1": true, "''": true, "a b": false, "a/b": false, "é": false} {
		cfg, err := load("gateway.yaml", []byte("auth: none\nidempotency: {installation: "+value+"}\n"), nil)
		if ok {
			require.NoError(t, err)
			require.Equal(t, value == "''", cfg.Idempotency.Installation == "")
		} else {
			require.ErrorContains(t, err, "idempotency.installation")
		}
	}
}
