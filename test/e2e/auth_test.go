//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// newKey creates a key as an operator does.
func newKey(t *testing.T) (key, hash string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), suite.binary, "keys", "new", "--client", "web").CombinedOutput()
	require.NoError(t, err, "%s", out)
	key = regexp.MustCompile(`gwk_[A-Za-z0-9_-]{43}`).FindString(string(out))
	hash = regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindString(string(out))
	require.NotEmpty(t, key)
	require.NotEmpty(t, hash)
	return watch("API key", key), hash
}

func clientsWith(hash string) map[string]any {
	return map[string]any{"clients": []any{
		map[string]any{"name": "web", "keys": []any{map[string]any{"hash": hash}}, "events": []string{"*"}},
	}}
}

// A key is created, used, and replaced while the gateway runs.
func TestKeysAreReloaded(t *testing.T) {
	t.Parallel()
	name := unique("auth.orders")
	o := options{schemas: schemasFolder(t, eventType{name: name, xevent: map[string]any{"topic": newTopic(t)}})}
	first, hash := newKey(t)
	o.auth = clientsWith(hash)
	cfg := o.config(t)
	file := writeConfig(t, cfg)
	g := startConfigured(t, o, file)
	c := newClient(t, g.addr, 2)
	send := func(key string) answer {
		header := map[string]string{}
		if key != "" {
			header["Authorization"] = "Bearer " + key
		}
		return c.mustSend(t, post{eventType: name, key: name, body: []byte(`{"orderId":"o-1","customerId":"c-1","currency":"EUR","items":[{"sku":"A","quantity":1,"unitPrice":1}],"placedAt":"2026-11-23T09:15:30Z"}`), header: header})
	}
	require.Equal(t, http.StatusUnauthorized, send("").status)
	written := send(first).receipt(t)

	second, hash := newKey(t)
	cfg["auth"] = clientsWith(hash)
	raw, err := yaml.Marshal(cfg)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	eventually(t, patient, "the new key is known", func() error {
		if a := send(second); a.status != http.StatusAccepted {
			return fmt.Errorf("%d", a.status)
		}
		return nil
	})
	require.Equal(t, http.StatusUnauthorized, send(first).status, "the old key is no longer valid")
	again := send(second)
	require.True(t, again.replayed(), "the client is the same, and so are its idempotency keys")
	require.Equal(t, written, again.receipt(t))

	require.NoError(t, os.WriteFile(file, []byte("auth: nonsense"), 0o600))
	eventually(t, patient, "the bad file is noticed", func() error { return g.logged("configuration refused") })
	require.Equal(t, http.StatusAccepted, send(second).status, "a bad file changes nothing")
	require.NotContains(t, g.log.String(), "gwk_")
}
