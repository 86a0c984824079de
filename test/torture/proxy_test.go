package torture

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// echoServer answers every line with itself.
func echoServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	p, err := newProxy(target)
	require.NoError(t, err)
	t.Cleanup(p.close)
	return p
}

type echoClient struct {
	net.Conn
	lines *bufio.Reader
}

func dialEcho(t *testing.T, p *proxy) *echoClient {
	t.Helper()
	c, err := net.Dial("tcp", p.addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return &echoClient{c, bufio.NewReader(c)}
}

// requireRefused opens a connection that must not work.
func requireRefused(t *testing.T, p *proxy) {
	t.Helper()
	c, err := net.Dial("tcp", p.addr())
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	_, err = (&echoClient{c, bufio.NewReader(c)}).exchange("hello", soon)
	require.Error(t, err)
}

// say sends a line and waits for the answer.
func (c *echoClient) exchange(line string, limit time.Duration) (string, error) {
	if _, err := c.Write([]byte(line + "\n")); err != nil {
		return "", err
	}
	return c.readLine(limit)
}

func (c *echoClient) readLine(limit time.Duration) (string, error) {
	_ = c.SetReadDeadline(time.Now().Add(limit))
	return c.lines.ReadString('\n')
}

func requireTimeout(t *testing.T, err error) {
	t.Helper()
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout(), "%v", err)
}

const (
	soon  = 10 * time.Second
	never = 150 * time.Millisecond
)

func TestProxyPassesOn(t *testing.T) {
	t.Parallel()
	c := dialEcho(t, startProxy(t, echoServer(t)))
	got, err := c.exchange("hello", soon)
	require.NoError(t, err)
	require.Equal(t, "hello\n", got)
}

func TestProxyCuts(t *testing.T) {
	t.Parallel()
	p := startProxy(t, echoServer(t))
	c := dialEcho(t, p)
	_, err := c.exchange("hello", soon)
	require.NoError(t, err)
	p.set(setting{mode: cut})
	_, err = c.readLine(soon)
	require.ErrorContains(t, err, "reset")
	requireRefused(t, p)
	p.heal()
	_, err = dialEcho(t, p).exchange("hello", soon)
	require.NoError(t, err)
}

func TestProxyDropsOneWay(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]direction{"requests": requests, "answers": answers, "both": both} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, echoServer(t))
			c := dialEcho(t, p)
			p.set(setting{mode: drop, where: where})
			_, err := c.exchange("lost", never)
			requireTimeout(t, err)
			p.heal()
			_, err = c.exchange("again", soon)
			require.Error(t, err, "a stream that lost bytes ends")
			_, err = dialEcho(t, p).exchange("hello", soon)
			require.NoError(t, err)
		})
	}
}

func TestProxyDropOfAnswersLetsRequestsPass(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	p := startProxy(t, l.Addr().String())
	c := dialEcho(t, p)
	server, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	p.set(setting{mode: drop, where: answers})
	heard := bufio.NewReader(server)
	for range 3 {
		_, err = server.Write([]byte("lost\n"))
		require.NoError(t, err)
		_, err = c.Write([]byte("request\n"))
		require.NoError(t, err)
		_ = server.SetReadDeadline(time.Now().Add(soon))
		got, err := heard.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "request\n", got)
	}
	_, err = c.readLine(never)
	requireTimeout(t, err)
}

func TestProxyStallHoldsBytes(t *testing.T) {
	t.Parallel()
	p := startProxy(t, echoServer(t))
	c := dialEcho(t, p)
	p.set(setting{mode: stall, where: requests})
	_, err := c.exchange("late", never)
	requireTimeout(t, err)
	p.heal()
	got, err := c.readLine(soon)
	require.NoError(t, err)
	require.Equal(t, "late\n", got, "what was held arrives")
}

func TestProxyDelays(t *testing.T) {
	t.Parallel()
	p := startProxy(t, echoServer(t))
	p.set(setting{mode: slow, where: both, delay: 50 * time.Millisecond})
	begun := time.Now()
	_, err := dialEcho(t, p).exchange("hello", soon)
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(begun), 100*time.Millisecond)
}

func TestProxyRetargets(t *testing.T) {
	t.Parallel()
	p := startProxy(t, "127.0.0.1:1") // nobody
	requireRefused(t, p)
	p.retarget(echoServer(t))
	_, err := dialEcho(t, p).exchange("hello", soon)
	require.NoError(t, err)
}
