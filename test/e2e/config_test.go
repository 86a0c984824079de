//go:build integration

package e2e

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestConfigurationIsRefused: a gateway whose configuration is unsafe or does not work
// ends at once, with a message that says what to do.
func TestConfigurationIsRefused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	port := taken.Addr().String()
	for name, tc := range map[string]struct {
		change func(cfg map[string]any)
		args   []string
		says   []string // all in what goes to standard error
		not    string   // and this is not
	}{
		"no auth":           {change: func(c map[string]any) { delete(c, "auth") }, says: []string{"auth", "auth: none"}},
		"acks":              {change: inSection("kafka", "properties", map[string]any{"acks": "0"}), says: []string{"kafka.properties", "acks"}},
		"acks, other name":  {change: inSection("kafka", "properties", map[string]any{"request.required.acks": "1"}), says: []string{"request.required.acks"}},
		"acks in a topic":   {change: inSection("kafka", "properties", map[string]any{"topic.acks": "1"}), says: []string{"topic.acks"}},
		"idempotence":       {change: inSection("kafka", "properties", map[string]any{"enable.idempotence": "false"}), says: []string{"enable.idempotence"}},
		"unknown property":  {change: inSection("kafka", "properties", map[string]any{"linger.msec": "5"}), says: []string{"linger.msec"}},
		"unknown key":       {change: inSection("http", "listn", "127.0.0.1:0"), says: []string{"http.listn"}},
		"short lease":       {change: inSection("idempotency", "lease", "21s"), says: []string{"idempotency.lease", "23s"}},
		"no schemas folder": {change: inSection("schemas", "dir", "/nowhere/at/all"), says: []string{"/nowhere/at/all"}},
		"port taken":        {change: inSection("http", "listen", port), says: []string{"http.listen", port, "address already in use", "--listen"}},
		"admin port taken":  {change: inSection("admin", "listen", port), says: []string{"admin.listen", port, "address already in use", "--admin-listen"}},
		"flag":              {args: []string{"--listen", port}, says: []string{"http.listen", port, "address already in use"}},
		"secret":            {change: inSection("redis", "password", "${NOT_SET_ANYWHERE}"), says: []string{"redis.password", "NOT_SET_ANYWHERE"}},
		"two at once": {
			change: func(c map[string]any) {
				inSection("http", "body_limit", "many")(c)
				inSection("redis", "password", "hunter2hunter2")(c)
				inSection("redis", "adresses", []string{})(c)
			}, says: []string{"http.body_limit", "redis.adresses"}, not: "hunter2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := options{schemas: schemasFolder(t, eventType{name: "orders.placed"})}.config(t)
			if tc.change != nil {
				tc.change(cfg)
			}
			p := launch(t, suite.dir, suite.binary, append([]string{"serve", "-c", writeConfig(t, cfg)}, tc.args...)...)
			require.NotZero(t, p.waitExit(t, patient))
			p.requireCleanLog(t)
			for _, part := range tc.says {
				require.Contains(t, p.log.String(), part)
			}
			require.True(t, tc.not == "" || !strings.Contains(p.log.String(), tc.not), "log has %s", tc.not)
		})
	}
}

// inSection sets one key of one section.
func inSection(section, key string, value any) func(map[string]any) {
	return func(cfg map[string]any) { cfg[section].(map[string]any)[key] = value }
}
