package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseRate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rate{
		"500/s": {500, time.Second}, "1/m": {1, time.Minute}, "5000/h": {5000, time.Hour}, "1000000000/s": {1_000_000_000, time.Second},
	} {
		got, err := ParseRate(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "500", "500/", "/s", "0/s", "-1/s", "+1/s", "01/s", "1.5/s", "1/d", "1 /s", "1/ s", "1/s/s", "1000000001/s", "99999999999999999999/s", "1/S"} {
		_, err := ParseRate(text)
		require.Error(t, err, text)
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	cfg := loadText(t, `
auth:
  clients: [ { name: a, events: ["*"], keys: [ { hash: "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" } ], rate: 500/s } ]
  jwt: { issuer: i, audience: a, jwks_url: "https://login.example.com/k", rate: "${RATE:-100/m}" }
`)
	require.Equal(t, Rate{500, time.Second}, cfg.Auth.Clients[0].Rate)
	require.Equal(t, Rate{100, time.Minute}, cfg.Auth.JWT.Rate)
}
