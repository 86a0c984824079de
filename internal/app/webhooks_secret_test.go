package app

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/config"
)

// The value of a variable may be a secret in the wrong place.
func TestExpandedValuesOfWebhooksAreNotShown(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`
auth: none
webhooks:
  - {name: a, scheme: "${HOOK:-}", secrets: [x], event_type: "a.{type}"}
  - {name: b, scheme: hmac, secrets: [x], event_type: b, id: "${HOOK:-}", hmac: {header: "${HOOK:-}", signed: "{${HOOK:-}}"}}
  - {name: c, scheme: written, secrets: [x], event_type: c}
`), 0o600))
	cfg, err := config.Load(file, []string{"HOOK=hunter2 hunter2"})
	require.NoError(t, err)
	err = CheckWebhooks(cfg)
	require.ErrorContains(t, err, "webhooks[0].scheme: its expanded value cannot be used")
	require.ErrorContains(t, err, "webhooks[1].hmac.header: its expanded value cannot be used")
	require.ErrorContains(t, err, `"written" is unknown`)
	require.NotContains(t, err.Error(), "hunter2")
}
