package app

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/auth"
	"eventgateway/internal/config"
	"eventgateway/internal/rate"
	"eventgateway/internal/redis"
)

func TestRatesAreReloaded(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	write := func(web, tokens string) *config.Config {
		lines := "auth:\n  clients: [ { name: web, events: [\"*\"], keys: [ { hash: \"sha256:" + strings.Repeat("0", 64) + "\" } ]" + web + " } ]\n" + tokens + "idempotency: {installation: test}\n"
		require.NoError(t, os.WriteFile(file, []byte(lines), 0o600))
		cfg, err := config.Load(file, nil)
		require.NoError(t, err)
		return cfg
	}
	jwt := func(perHour int) string {
		return fmt.Sprintf("  jwt: { issuer: i, audience: a, jwks_url: \"https://login.example.com/k\", rate: %d/h }\n", perHour)
	}
	a := &App{cfg: write(", rate: 500/s", jwt(10)), logger: slog.New(slog.DiscardHandler), registry: prometheus.NewRegistry()}
	a.rdb = redis.New(redis.Config{Addresses: []string{"127.0.0.1:1"}})
	t.Cleanup(func() { require.NoError(t, a.rdb.Close()) })
	var err error
	a.auth, err = auth.New(t.Context(), auth.Config{}, nil)
	require.NoError(t, err)
	a.limitRates()
	t.Cleanup(a.rates.Close)
	perHour := func(n int) rate.Limit { return rate.Limit{Count: n, Per: time.Hour} }
	require.Equal(t, rate.Limit{Count: 500, Per: time.Second}, a.rates.Take("web", false, 1).Limit)
	require.Equal(t, perHour(10), a.rates.Take("jwt:somebody", true, 1).Limit)

	for name, c := range map[string]struct {
		web, tokens string
		want        rate.Limit // of tokens
	}{
		"other rates":        {"", jwt(20), perHour(20)},
		"no jwt any more":    {"", "", perHour(10)}, // needs a restart; until then its rate stays
		"the same as before": {"", jwt(10), perHour(10)},
	} {
		write(c.web, c.tokens)
		a.reloadClients()
		require.Equal(t, rate.Limit{}, a.rates.Take("web", false, 1).Limit, name)
		require.Equal(t, c.want, a.rates.Take("jwt:somebody", true, 1).Limit, name)
	}
}
