package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/intake"
)

func withConnections(most, perAddress int) option {
	return func(c *Config, _ *Catalog) { c.Connections, c.PerAddress = most, perAddress }
}

func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	for limit, with := range map[string]option{intake.TooManyConnections: withConnections(2, 0), intake.TooManyPerAddress: withConnections(0, 2)} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			g := start(t, accepting, with)
			first, second := g.dial(t), g.dial(t)
			for _, w := range []wire{first, second} {
				w.send(t, rawPost("", "{}"))
				require.Equal(t, http.StatusAccepted, w.answer(t).StatusCode)
			}
			third := g.dial(t)
			_, err := third.r.ReadByte()
			require.Error(t, err, "it is closed without a word")
			first.send(t, rawPost("", "{}"))
			require.Equal(t, http.StatusAccepted, first.answer(t).StatusCode, "who is in stays in")
			require.NoError(t, testutil.GatherAndCompare(g.registry, strings.NewReader(
				"# HELP gateway_http_connections Open connections of the public listener.\n# TYPE gateway_http_connections gauge\ngateway_http_connections 2\n"), "gateway_http_connections"))
			require.InDelta(t, 1, testutil.ToFloat64(g.metrics.unconnected.WithLabelValues(limit)), 0)

			require.NoError(t, second.Close())
			require.Eventually(t, func() bool { return g.intake.OpenConnections() == 1 }, patience, time.Millisecond)
			fourth := g.dial(t)
			fourth.send(t, rawPost("", "{}"))
			require.Equal(t, http.StatusAccepted, fourth.answer(t).StatusCode)
		})
	}
}
