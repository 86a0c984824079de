package kafka

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestFranzSocketOptions asks the kernel what it was told.
func TestFranzSocketOptions(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, ln.Close()) }()
	for name, c := range map[string]struct {
		dialer franzDialer
		want   map[[2]int]int // by level and option
	}{
		"defaults": {newTranslation(nil).dialer(), map[[2]int]int{
			{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT}: 3000, {unix.IPPROTO_TCP, unix.TCP_NODELAY}: 1, {unix.SOL_SOCKET, unix.SO_KEEPALIVE}: 1,
		}},
		"given": {
			franzDialer{network: "tcp", timeout: time.Minute, userTimeout: 7 * time.Second, delay: true, sendBuffer: 30_000, receiveBuffer: 40_000},
			map[[2]int]int{ // the kernel doubles buffers
				{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT}: 7000, {unix.IPPROTO_TCP, unix.TCP_NODELAY}: 0, {unix.SOL_SOCKET, unix.SO_KEEPALIVE}: 0,
				{unix.SOL_SOCKET, unix.SO_SNDBUF}: 60_000, {unix.SOL_SOCKET, unix.SO_RCVBUF}: 80_000,
			},
		},
	} {
		conn, err := c.dialer.dial(t.Context(), "tcp", ln.Addr().String())
		require.NoError(t, err)
		raw, err := conn.(*net.TCPConn).SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Control(func(fd uintptr) {
			linger, err := unix.GetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER)
			require.NoError(t, err)
			require.Equal(t, unix.Linger{Onoff: 1, Linger: 0}, *linger)
			for option, want := range c.want {
				got, err := unix.GetsockoptInt(int(fd), option[0], option[1])
				require.NoError(t, err)
				require.Equal(t, want, got, "%s %v", name, option)
			}
		}))
		require.NoError(t, conn.Close())
	}
}
