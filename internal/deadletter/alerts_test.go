package deadletter

import (
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

const alertsDir = "../../deploy/prometheus"

// TestAlertsNameMetricsThatExist: a rule over a metric that there is not never fires, and
// nothing says so. Those of subscriptions are in internal/delivery.
func TestAlertsNameMetricsThatExist(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile(alertsDir + "/dead-letters.rules.yaml")
	require.NoError(t, err)
	exist := map[string]bool{"gateway_subscription_dead_letters_total": true, "gateway_subscription_dead_letter_failures_total": true}
	w := newWatchTest(t)
	w.fill(1)
	require.NoError(t, w.watch.count(t.Context()))
	families, err := w.reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		exist[f.GetName()] = true
	}
	names := regexp.MustCompile(`gateway_[a-z_]+`).FindAllString(string(rules), -1)
	require.NotEmpty(t, names)
	for _, name := range names {
		require.True(t, exist[name], name)
	}
}

// TestAlertsWithPromtool runs deploy/prometheus/dead-letters.test.yaml. promtool is on PATH, or
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
	for _, args := range [][]string{{"check", "rules", "dead-letters.rules.yaml"}, {"test", "rules", "dead-letters.test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = alertsDir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}
