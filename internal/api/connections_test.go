package api

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

func withConnections(most, perAddress int) option {
	return func(c *Config, _ *Catalog) { c.Connections, c.PerAddress = most, perAddress }
}

func TestConnectionsByAddress(t *testing.T) {
	t.Parallel()
	at := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 4711} }
	for name, c := range map[string]struct {
		most, perAddress int
		come             []string
		refused          string // what happens to the last
	}{
		"no limits":                 {0, 0, []string{"192.0.2.1", "192.0.2.1", "192.0.2.1"}, ""},
		"in all":                    {2, 0, []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, tooMany},
		"of one address":            {9, 2, []string{"192.0.2.1", "192.0.2.1", "192.0.2.1"}, tooManyPerAddress},
		"of another":                {9, 2, []string{"192.0.2.1", "192.0.2.1", "192.0.2.2"}, ""},
		"IPv4 in IPv6":              {9, 1, []string{"192.0.2.1", "::ffff:192.0.2.1"}, tooManyPerAddress},
		"the same /64":              {9, 1, []string{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2"}, tooManyPerAddress},
		"another /64":               {9, 1, []string{"2001:db8:0:1::1", "2001:db8:0:2::1"}, ""},
		"IPv4 addresses have no 64": {9, 1, []string{"192.0.2.1", "192.0.2.2"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := connections{most: c.most, mostPerAddress: c.perAddress}
			var leaves []func()
			for i, ip := range c.come {
				leave, refusal := all.enter(at(ip))
				if i < len(c.come)-1 || c.refused == "" {
					require.Empty(t, refusal)
					leaves = append(leaves, leave)
					continue
				}
				require.Equal(t, c.refused, refusal)
				leaves[0]()
				leaves[0]() // twice is once
				leave, refusal = all.enter(at(ip))
				require.Empty(t, refusal, "one has gone")
				leaves[0] = leave
			}
			for _, leave := range leaves {
				leave()
			}
			require.Zero(t, all.count())
			require.Empty(t, all.byAddress)
		})
	}
}

func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	for limit, with := range map[string]option{tooMany: withConnections(2, 0), tooManyPerAddress: withConnections(0, 2)} {
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
			require.Eventually(t, func() bool { return g.connections.count() == 1 }, patience, time.Millisecond)
			fourth := g.dial(t)
			fourth.send(t, rawPost("", "{}"))
			require.Equal(t, http.StatusAccepted, fourth.answer(t).StatusCode)
		})
	}
}

// A client that does not read its answer holds its connection until the write
// time-out, and no bytes of requests.
func TestAnswersThatNobodyReads(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, func(c *Config, _ *Catalog) { c.WriteTimeout = 200 * time.Millisecond })
	w := g.dial(t)
	require.NoError(t, w.Conn.(*net.TCPConn).SetReadBuffer(4*kib))
	request := "GET /openapi.json HTTP/1.1\r\nHost: gateway\r\n\r\n"
	for range 2000 { // far more than systems buffer
		if _, err := io.WriteString(w, request); err != nil {
			break
		}
	}
	require.Eventually(t, func() bool { return g.connections.count() == 0 }, patience, 10*time.Millisecond)
	require.Zero(t, g.admission.held.Load())
}

// Of each kind of waiting client, the connection ends by itself.
func TestWaitingConnectionsEnd(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, withReadTimeout(100*time.Millisecond), func(c *Config, _ *Catalog) { c.IdleTimeout = 100 * time.Millisecond })
	idle := g.dial(t)
	idle.send(t, rawPost("", "{}"))
	require.Equal(t, http.StatusAccepted, idle.answer(t).StatusCode)
	for _, text := range []string{"", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\nX: ", toOrders + "Content-Length: 100\r\n\r\n{"} {
		g.dial(t).send(t, text)
	}
	require.Eventually(t, func() bool { return g.connections.count() == 0 }, patience, 10*time.Millisecond)
}
