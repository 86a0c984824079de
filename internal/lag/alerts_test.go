package lag

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"eventgateway/internal/kafka"
)

const alertsDir = "../../deploy/prometheus"

// TestAlertsNameMetricsThatExist: a rule over a metric or state that there is not never
// fires, and nothing says so.
func TestAlertsNameMetricsThatExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(alertsDir + "/lag.rules.yaml")
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert string `yaml:"alert"`
				Expr  string `yaml:"expr"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	require.Len(t, file.Groups, 1)
	require.NotEmpty(t, file.Groups[0].Rules)

	w := newWorld(t)
	w.log(orders, 20, 100)
	w.commit("billing", map[kafka.Partition]int64{orders: 90})
	w.retention["orders"] = 100 * time.Second
	exist := map[string]bool{}
	families, err := shownOf(w.pass(0), 1000).Gather()
	require.NoError(t, err)
	for _, f := range families {
		exist[f.GetName()] = true
	}
	metric, state := regexp.MustCompile(`gateway_[a-z_]+`), regexp.MustCompile(`state="([^"]*)"`)
	for _, r := range file.Groups[0].Rules {
		names := metric.FindAllString(r.Expr, -1)
		require.NotEmpty(t, names, r.Alert)
		for _, name := range names {
			require.True(t, exist[name], "%s: there is no metric %s", r.Alert, name)
		}
		for _, s := range state.FindAllStringSubmatch(r.Expr, -1) {
			require.True(t, slices.Contains(States, State(s[1])), "%s: there is no state %s", r.Alert, s[1])
		}
	}
}

// TestAlertsWithPromtool runs deploy/prometheus/lag.test.yaml. promtool is on PATH, or
// GATEWAY_TEST_PROMTOOL names it (Debian: in the package prometheus).
func TestAlertsWithPromtool(t *testing.T) {
	t.Parallel()
	promtool := os.Getenv("GATEWAY_TEST_PROMTOOL")
	if promtool == "" {
		var err error
		if promtool, err = exec.LookPath("promtool"); err != nil {
			t.Skip("not tested: promtool is not on PATH, and GATEWAY_TEST_PROMTOOL does not name it")
		}
	}
	for _, args := range [][]string{{"check", "rules", "lag.rules.yaml"}, {"test", "rules", "lag.test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = alertsDir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}
