package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestNothingShowsASecret prints a whole configuration in every way at hand.
func TestNothingShowsASecret(t *testing.T) {
	t.Parallel()
	cfg := loadText(t, `
auth: none
redis: { password: "${P:-hunter2}" }
kafka: { properties: { sasl.password: hunter2, linger.ms: 5 } }
webhooks: [ { name: a, scheme: stripe, secrets: [ hunter2, "${P:-hunter2}" ], event_type: a } ]
`)
	require.Equal(t, "hunter2", cfg.Redis.Password.Reveal())
	var plain map[string]string = cfg.Kafka.Properties // the producer takes a plain map
	require.Equal(t, "hunter2", plain["sasl.password"])

	shown := map[string]string{
		"string":    cfg.Redis.Password.String(),
		"go string": cfg.Redis.Password.GoString(),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3s"} {
		shown["secret "+verb] = fmt.Sprintf(verb, cfg.Redis.Password)
		shown["pointer "+verb] = fmt.Sprintf(verb, &cfg.Redis.Password)
		shown["properties "+verb] = fmt.Sprintf(verb, cfg.Kafka.Properties)
		shown["config "+verb] = fmt.Sprintf(verb, *cfg)
	}
	text, err := json.Marshal(cfg)
	require.NoError(t, err)
	shown["json"] = string(text)
	require.Contains(t, shown["json"], `"linger.ms":"[redacted]"`)
	text, err = yaml.Marshal(cfg)
	require.NoError(t, err)
	shown["yaml"] = string(text)
	require.Contains(t, shown["yaml"], `linger.ms: '[redacted]'`)
	var line bytes.Buffer
	slog.New(slog.NewJSONHandler(&line, nil)).Info("loaded", "config", cfg, "password", cfg.Redis.Password, "properties", cfg.Kafka.Properties)
	slog.New(slog.NewTextHandler(&line, nil)).Info("loaded", "config", cfg, "password", cfg.Redis.Password, "properties", cfg.Kafka.Properties)
	shown["slog"] = line.String()

	for how, text := range shown {
		require.NotContains(t, text, "hunter2", how)
		require.NotContains(t, text, "68756e74657232", how)
		require.Contains(t, text, redacted, how)
	}
}
