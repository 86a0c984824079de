package app

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	eventgateway "eventgateway"
	"eventgateway/internal/config"
)

const patience = 60 * time.Second

// testConfig is a gateway on free ports, without Kafka and Redis.
func testConfig() *config.Config {
	cfg := config.Defaults()
	cfg.Auth = config.Auth{None: true}
	cfg.HTTP.Listen, cfg.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Kafka.Brokers = []string{"127.0.0.1:1"}
	cfg.Kafka.DeliveryTimeout = time.Second
	cfg.Redis.Addresses = []string{"127.0.0.1:1"}
	cfg.Schemas.Dir = "../../schemas"
	return cfg
}

func newApp(cfg *config.Config) (*App, error) {
	return New(cfg, eventgateway.OpenAPI, slog.New(slog.DiscardHandler))
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	require.NoError(t, err)
	return ln
}

func TestNewFails(t *testing.T) {
	t.Parallel()
	taken := listen(t, "127.0.0.1:0")
	t.Cleanup(func() { _ = taken.Close() }) // after the parallel cases, unlike defer
	for name, c := range map[string]struct {
		change func(*config.Config)
		want   []string
	}{
		"public port taken":      {func(c *config.Config) { c.HTTP.Listen = taken.Addr().String() }, []string{"http.listen", taken.Addr().String(), "--listen"}},
		"admin port taken":       {func(c *config.Config) { c.Admin.Listen = taken.Addr().String() }, []string{"admin.listen", taken.Addr().String(), "--admin-listen"}},
		"no schemas":             {func(c *config.Config) { c.Schemas.Dir = "no-such-folder" }, []string{"schemas", "no-such-folder"}},
		"unknown kafka property": {func(c *config.Config) { c.Kafka.Properties = config.Properties{"no.such": "1"} }, []string{"kafka", "no.such"}},
		"bad redis authority": {
			func(c *config.Config) { c.Redis.TLS = config.RedisTLS{Enabled: true, CA: "no-such-file"} },
			[]string{"redis", "redis.tls.ca", "no-such-file"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig()
			c.change(cfg)
			_, err := newApp(cfg)
			for _, text := range c.want {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

// A program that embeds a gateway may try again with another port.
func TestNewThatFailsLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	taken, free := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	defer func() { _ = taken.Close() }()
	cfg := testConfig()
	cfg.HTTP.Listen, cfg.Admin.Listen = free.Addr().String(), taken.Addr().String()
	require.NoError(t, free.Close())
	_, err := newApp(cfg)
	require.ErrorContains(t, err, "admin.listen")
	require.NoError(t, listen(t, cfg.HTTP.Listen).Close(), "the public port must be free again")
	cfg.HTTP.Listen, cfg.Admin.Listen = cfg.Admin.Listen, cfg.HTTP.Listen
	_, err = newApp(cfg)
	require.ErrorContains(t, err, "http.listen")
	require.NoError(t, listen(t, cfg.Admin.Listen).Close(), "the admin port must be free again")
}

// A gateway starts, answers and stops without Kafka and Redis.
func TestRunWithoutKafkaAndRedis(t *testing.T) {
	t.Parallel()
	a, err := newApp(testConfig())
	require.NoError(t, err)
	eventType, data := a.Sample("orders.placed")
	require.Equal(t, "orders.placed", eventType)
	require.True(t, json.Valid(data))

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	get := func(url string) (int, string) {
		resp, err := client.Get(url)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	status, _ := get("http://" + a.AdminAddr() + "/livez")
	require.Equal(t, http.StatusOK, status)
	status, body := get("http://" + a.AdminAddr() + "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, `"kafka":{"ok":false`)
	require.Contains(t, body, `"redis":{"ok":false`)
	status, body = get("http://" + a.Addr() + "/openapi.yaml")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `"/v1/events/orders.placed": `)

	resp, err := client.Post("http://"+a.Addr()+"/v1/events/orders.placed", "application/json", strings.NewReader(string(data)))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	var problem struct{ Type, Outcome string }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&problem))
	require.Equal(t, "/problems/log-unavailable", problem.Type)
	require.Equal(t, "not-written", problem.Outcome)

	cancel()
	select {
	case err := <-ended:
		require.NoError(t, err, "an orderly stop")
	case <-time.After(patience):
		require.Fail(t, "must stop")
	}
	_, err = client.Get("http://" + a.Addr() + "/openapi.yaml")
	require.Error(t, err, "the listener is closed")
}

func TestRunFailsWithItsListener(t *testing.T) {
	t.Parallel()
	a, err := newApp(testConfig())
	require.NoError(t, err)
	require.NoError(t, a.private.Close())
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.ErrorContains(t, a.Run(ctx), "serve admin")
	require.NoError(t, ctx.Err())
}

func TestRunThatIsStoppedBeforeItStarts(t *testing.T) {
	t.Parallel()
	a, err := newApp(testConfig())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(patience):
		require.Fail(t, "must stop")
	}
}

func TestSampleWithoutThePreferredType(t *testing.T) {
	t.Parallel()
	a, err := newApp(testConfig())
	require.NoError(t, err)
	defer func() { require.NoError(t, a.discard()) }()
	eventType, data := a.Sample("no.such")
	require.Equal(t, "customers.address-changed", eventType)
	require.True(t, json.Valid(data))
}
