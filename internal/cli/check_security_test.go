package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/config"
)

func TestCheckWarnsOfWhatLetsOthersIn(t *testing.T) {
	t.Parallel()
	const strong, stronger = "0123456789abcdef0123", "fedcba98765432100123"
	hook := func(name, secret string) string {
		return "  - {name: " + name + ", scheme: stripe, secrets: [\"" + secret + "\"], event_type: \"x.{type}\", key: null}\n"
	}
	const closed = "auth: none\nhttp: {listen: \"127.0.0.1:8080\"}\n"
	for name, c := range map[string]struct {
		yaml string
		mode os.FileMode
		want []string // checks, with subjects
	}{
		"nothing":                   {closed + "webhooks:\n" + hook("a", strong) + hook("b", stronger), 0o600, nil},
		"open to others":            {"auth: none\n", 0o600, []string{"security.open http.listen"}},
		"open to others by name":    {"auth: none\nhttp: {listen: \"gateway:80\"}\n", 0o600, []string{"security.open http.listen"}},
		"open on this machine":      {"auth: none\nhttp: {listen: \"[::1]:80\"}\n", 0o600, nil},
		"admin for others":          {closed + "admin: {listen: \":9090\"}\n", 0o600, []string{"security.admin admin.listen"}},
		"short secret":              {closed + "webhooks:\n" + hook("a", "short"), 0o600, []string{"security.weak-secret webhooks[0].secrets[0]"}},
		"one secret for two":        {closed + "webhooks:\n" + hook("a", strong) + hook("b", strong), 0o600, []string{"security.shared-secret webhooks[1].secrets[0]"}},
		"world-readable":            {closed + "webhooks:\n" + hook("a", strong), 0o644, []string{"security.readable FILE"}},
		"world-readable, no secret": {closed, 0o644, nil},
		"secret in a file":          {closed + "webhooks:\n" + hook("a", "${file:DIR/secret}"), 0o600, []string{"security.readable DIR/secret"}},
		"key file":                  {closed + "redis: {tls: {enabled: true, cert: DIR/secret, key: DIR/secret}}\n", 0o600, []string{"security.readable redis.tls.key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "gateway.yaml")
			require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte(strong), 0o600))
			require.NoError(t, os.Chmod(filepath.Join(dir, "secret"), 0o644))
			require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(c.yaml, "DIR", dir)), 0o600))
			require.NoError(t, os.Chmod(file, c.mode))
			cfg, err := config.Examine(file, nil)
			require.NoError(t, err)
			found := (&checker{file: file}).security(cfg, nil)
			var got []string
			for _, f := range found {
				got = append(got, strings.NewReplacer(file, "FILE", dir, "DIR").Replace(f.Check+" "+f.Subject))
				require.NotContains(t, f.What+f.Do, strong)
				require.NotEmpty(t, f.Do)
			}
			require.Equal(t, c.want, got)
		})
	}
}
