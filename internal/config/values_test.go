package config

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{
		"0": 0, "4096": 4 * KiB, "900KiB": 921600, "256MiB": 256 * MiB, "2GiB": 2 * GiB, "1KB": 1000, "1kB": 1000,
		"1MB": 1000000, "3GB": 3000000000, "9223372036854775807": 1<<63 - 1, "8589934591GiB": (1<<33 - 1) * GiB, "5 MiB": 5 * MiB,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			size, err := ParseSize(text)
			require.NoError(t, err)
			require.Equal(t, want, size)
			again, err := ParseSize(size.String())
			require.NoError(t, err)
			require.Equal(t, size, again)
		})
	}
	for _, text := range []string{
		"", "KiB", "-1", "+1", "1.5MiB", "1e6", "010", "0x10", "1_000", "1Mb", "1mib", "1TiB", "1 ", " 1", "1  KiB",
		"9223372036854775808", "8589934592GiB", "99999999999999999999KiB",
	} {
		t.Run("refused "+text, func(t *testing.T) {
			t.Parallel()
			_, err := ParseSize(text)
			require.Error(t, err)
		})
	}
}

func TestSizeString(t *testing.T) {
	t.Parallel()
	for want, size := range map[string]Size{"900KiB": 900 * KiB, "256MiB": 256 * MiB, "1MB": 1e6, "1001": 1001, "0": 0, "-1KiB": -KiB} {
		require.Equal(t, want, size.String())
		text, err := size.MarshalText()
		require.NoError(t, err)
		require.Equal(t, want, string(text))
		require.Equal(t, int64(size), size.Bytes())
	}
}

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
	require.Equal(t, Rate{100, time.Minute}, cfg.Auth.JWT[0].Rate)
}

// Values read their own texts, so that other decoders can read them too.
func TestValuesUnmarshalTexts(t *testing.T) {
	t.Parallel()
	var values struct {
		Size   Size
		Rate   Rate
		Secret Secret
		Auth   Auth
	}
	require.NoError(t, json.Unmarshal([]byte(`{"Size":"1KiB","Rate":"5/s","Secret":"x","Auth":"none"}`), &values))
	require.Equal(t, KiB, values.Size)
	require.Equal(t, Rate{5, time.Second}, values.Rate)
	require.Equal(t, "x", values.Secret.Reveal())
	require.Equal(t, Auth{None: true}, values.Auth)
	for _, text := range []string{`{"Size":"big"}`, `{"Rate":"often"}`, `{"Auth":"all"}`} {
		require.ErrorContains(t, json.Unmarshal([]byte(text), &values), "; ", "what to write instead")
	}
	require.Equal(t, KiB, values.Size, "a text that cannot be read changes nothing")
}
