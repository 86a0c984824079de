package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/config"
)

// devConfigOf is what `gateway dev` makes of a file and flags.
func devConfigOf(t *testing.T, yaml string, args ...string) (*config.Config, string, error) {
	t.Helper()
	if yaml != "" {
		file := filepath.Join(t.TempDir(), "gateway.yaml")
		require.NoError(t, os.WriteFile(file, []byte(yaml), 0o600))
		args = append(args, "-c", file)
	}
	var f devFlags
	var cmd cobra.Command
	f.define(&cmd)
	require.NoError(t, cmd.ParseFlags(args))
	return f.config([]string{"GATEWAY_HTTP_READ_TIMEOUT=3s"})
}

func TestDevWithoutAFile(t *testing.T) {
	t.Parallel()
	cfg, ignored, err := devConfigOf(t, "")
	require.NoError(t, err)
	require.Empty(t, ignored)
	require.Equal(t, "127.0.0.1:8080", cfg.HTTP.Listen)
	require.Equal(t, "http://127.0.0.1:8080", cfg.HTTP.PublicURL)
	require.Equal(t, "127.0.0.1:9090", cfg.Admin.Listen)
	require.Empty(t, cfg.Schemas.Dir, "nobody named a folder")
	require.Equal(t, config.Log{Format: config.LogText, Level: config.LogWarn}, cfg.Log)
	require.Equal(t, 10*time.Second, cfg.HTTP.ReadTimeout, "without a file, variables do not count")
}

func TestDevWithAFile(t *testing.T) {
	t.Parallel()
	cfg, ignored, err := devConfigOf(t, `
http: {listen: "127.0.0.1:1234", body_limit: 1KiB, public_url: "https://a.example"}
admin: {listen: "127.0.0.1:1235"}
kafka: {brokers: ["kafka:9092"], guarantee: transactional, delivery_timeout: 2s, transaction_timeout: 3s, properties: {sasl.password: "${NOT_SET}"}}
redis: {addresses: ["redis:6379"], password: "${NOT_SET}", tls: {enabled: true}}
idempotency: {lease: 6s}
schemas: {dir: types}
log: {level: error}
webhooks: [{name: s, scheme: stripe, secrets: [x], event_type: "s.{type}"}]
`)
	require.NoError(t, err)
	require.Equal(t, "\nNot used of the configuration file, because Kafka and Redis are embedded: kafka (but delivery_timeout), redis.\n", ignored)
	require.Equal(t, "127.0.0.1:1234", cfg.HTTP.Listen)
	require.Equal(t, "https://a.example", cfg.HTTP.PublicURL)
	require.Equal(t, config.KiB, cfg.HTTP.BodyLimit)
	require.Equal(t, 3*time.Second, cfg.HTTP.ReadTimeout, "variables go over the file")
	require.Equal(t, "127.0.0.1:1235", cfg.Admin.Listen)
	require.Equal(t, "types", cfg.Schemas.Dir)
	require.Equal(t, config.Log{Format: config.LogText, Level: config.LogError}, cfg.Log)
	require.Len(t, cfg.Webhooks, 1)
	want := config.Defaults()
	want.Kafka.DeliveryTimeout = 2 * time.Second
	require.Equal(t, want.Kafka, cfg.Kafka)
	require.Equal(t, want.Redis, cfg.Redis)

	cfg, _, err = devConfigOf(t, "http: {listen: \"127.0.0.1:1234\"}\nschemas: {dir: types}\n",
		"--listen", "127.0.0.1:4321", "--admin-listen", "127.0.0.1:4322", "--schemas", "others", "--verbose")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:4321", cfg.HTTP.Listen, "flags go over the file")
	require.Equal(t, "127.0.0.1:4322", cfg.Admin.Listen)
	require.Equal(t, "others", cfg.Schemas.Dir)
	require.Equal(t, config.LogDebug, cfg.Log.Level)
}

func TestDevRefusesAFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ yaml, want string }{
		"who may call":        {"auth: off\n", "auth: \"off\" is not none"},
		"nobody may call":     {"auth: { clients: [] }\n", "names no clients"},
		"limits":              {"http: {body_limit: many}\n", "http.body_limit"},
		"kept of kafka":       {"kafka: {delivery_timeout: 1}\n", "kafka.delivery_timeout"},
		"unknown section":     {"kafak: {}\n", "kafak"},
		"webhook's secret":    {"webhooks: [{name: s, scheme: stripe, secrets: [\"${NOT_SET}\"], event_type: \"s.{type}\"}]\n", `webhooks[0].secrets[0]: variable "NOT_SET" is not set`},
		"webhook's scheme":    {"webhooks: [{name: s, scheme: strip, secrets: [x], event_type: \"s.{type}\"}]\n", "webhooks[0].scheme"},
		"no configuration":    {"- a\n", "not a mapping"},
		"two of the mistakes": {"http: {body_limit: many}\nlog: {level: loud}\n", "log.level"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := devConfigOf(t, c.yaml)
			require.ErrorContains(t, err, c.want)
			require.True(t, strings.HasPrefix(err.Error(), "the configuration cannot be used:\n"), err.Error())
		})
	}
}

func TestDevShowsWebhooks(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	printWebhooks(&out, &config.Config{}, "", "http://127.0.0.1:1")
	require.Empty(t, out.String())
	cfg := &config.Config{Webhooks: []config.Webhook{{Name: "shop", Scheme: "stripe"}, {Name: "gh", Scheme: "github"}}}
	printWebhooks(&out, cfg, "my gateway.yaml", "http://127.0.0.1:8080")
	text := strings.ReplaceAll(out.String(), programName(), "gateway")
	require.Contains(t, text, "  http://127.0.0.1:8080/v1/webhooks/shop   (stripe)\n"+
		"  gateway webhooks sample stripe 2>/dev/null | gateway webhooks send shop - -c 'my gateway.yaml' --url http://127.0.0.1:8080/v1/webhooks/shop\n")
	require.Contains(t, text, " --header 'X-GitHub-Event: issues' --url http://127.0.0.1:8080/v1/webhooks/gh\n")
}
