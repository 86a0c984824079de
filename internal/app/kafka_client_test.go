package app

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/config"
	"eventgateway/internal/kafka"
)

func TestKafkaClient(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		yaml, err string
		want      kafka.ClientName
	}{
		"default":     {"", "", kafka.ClientFranz},
		"expressible": {"kafka: {properties: {linger.ms: 5, compression.type: lz4, log_level: 3}}\n", "", kafka.ClientFranz},
		"not expressible": {
			"kafka: {properties: {batch.num.messages: 5}}\n", "", kafka.ClientLibrdkafka,
		},
		"transactional": {"kafka: {guarantee: transactional}\n", "", kafka.ClientFranz},
		"librdkafka":    {"kafka: {client: librdkafka, properties: {linger.ms: 5}}\n", "", kafka.ClientLibrdkafka},
		"franz and what it lacks": {
			"kafka:\n  client: franz\n  properties:\n    batch.num.messages: 5\n    linger.ms: soon\n    odd name: x\n",
			"kafka.properties.batch.num.messages: cannot be used with kafka.client: franz: franz-go bounds a batch by its bytes only; leave it out, or write kafka.client: auto or librdkafka (%FILE%:5)\n" +
				"kafka.properties.linger.ms: is not a number of milliseconds from 0 to 900000; write for example 5 (%FILE%:6)\n" +
				"kafka.properties.\"odd name\": cannot be used with kafka.client: franz: franz-go has no counterpart; leave it out, or write kafka.client: auto or librdkafka (%FILE%:7)", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "gateway.yaml")
			write(t, filepath.Dir(file), filepath.Base(file), []byte("auth: none\n"+c.yaml))
			cfg, err := config.Load(file, nil)
			require.NoError(t, err)
			got, err := KafkaClient(cfg)
			if c.err != "" {
				want := strings.ReplaceAll(c.err, "%FILE%", file)
				require.EqualError(t, err, want)
				require.EqualError(t, CheckConfig(cfg), want)
				_, err = New(cfg, nil, slog.New(slog.DiscardHandler))
				require.EqualError(t, err, "the configuration cannot be used:\n"+want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got.Client)
			require.NotEmpty(t, got.Reason)
			require.NoError(t, CheckConfig(cfg))
		})
	}
}

// TestCheckConfigReportsAll: properties and webhooks together.
func TestCheckConfigReportsAll(t *testing.T) {
	t.Parallel()
	cfg := config.Defaults()
	cfg.Auth.None = true
	cfg.Kafka.Properties = config.Properties{"linger.ms": "soon"}
	cfg.Webhooks = []config.Webhook{{Name: "shop", Scheme: "no-such-scheme"}}
	err := CheckConfig(cfg)
	require.ErrorContains(t, err, "kafka.properties.linger.ms: ")
	require.ErrorContains(t, err, "webhooks[0].")
}
