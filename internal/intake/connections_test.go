package intake

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConnectionsByAddress(t *testing.T) {
	t.Parallel()
	at := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 4711} }
	for name, c := range map[string]struct {
		most, perAddress int
		come             []string
		refused          string // what happens to the last
	}{
		"no limits":                 {0, 0, []string{"192.0.2.1", "192.0.2.1", "192.0.2.1"}, ""},
		"in all":                    {2, 0, []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, TooManyConnections},
		"of one address":            {9, 2, []string{"192.0.2.1", "192.0.2.1", "192.0.2.1"}, TooManyPerAddress},
		"of another":                {9, 2, []string{"192.0.2.1", "192.0.2.1", "192.0.2.2"}, ""},
		"IPv4 in IPv6":              {9, 1, []string{"192.0.2.1", "::ffff:192.0.2.1"}, TooManyPerAddress},
		"the same /64":              {9, 1, []string{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2"}, TooManyPerAddress},
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
	for limit, with := range map[string]option{TooManyConnections: withConnections(2, 0), TooManyPerAddress: withConnections(0, 2)} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			refused := make(chan string, 1)
			g := start(t, accepting, with, func(c *Config) { c.ConnectionRefused = func(limit string) { refused <- limit } })
			for range 2 {
				w := g.dial(t)
				w.send(t, rawPost("", "{}"))
				require.Equal(t, http.StatusAccepted, w.answer(t).StatusCode)
			}
			_, err := g.dial(t).r.ReadByte()
			require.Error(t, err, "it is closed without a word")
			require.Equal(t, limit, <-refused)
			require.Equal(t, 2, g.OpenConnections())
		})
	}
}

// A client that does not read its answer holds its connection until the write
// timeout, and no bytes of requests.
func TestAnswersThatNobodyReads(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, func(c *Config) { c.WriteTimeout = 200 * time.Millisecond })
	w := g.dial(t)
	require.NoError(t, w.Conn.(*net.TCPConn).SetReadBuffer(4*kib))
	request := "POST /large HTTP/1.1\r\nHost: gateway\r\n\r\n"
	for range 2000 { // far more than systems buffer
		if _, err := io.WriteString(w, request); err != nil {
			break
		}
	}
	require.Eventually(t, func() bool { return g.OpenConnections() == 0 }, patience, 10*time.Millisecond)
	require.Zero(t, g.BodyBytes())
}

// The connection of each kind of waiting client is closed.
func TestWaitingConnectionsEnd(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, withReadTimeout(100*time.Millisecond), func(c *Config) { c.IdleTimeout = 100 * time.Millisecond })
	idle := g.dial(t)
	idle.send(t, rawPost("", "{}"))
	require.Equal(t, http.StatusAccepted, idle.answer(t).StatusCode)
	for _, text := range []string{"", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\nX: ", toOrders + "Content-Length: 100\r\n\r\n{"} {
		g.dial(t).send(t, text)
	}
	require.Eventually(t, func() bool { return g.OpenConnections() == 0 }, patience, 10*time.Millisecond)
}
