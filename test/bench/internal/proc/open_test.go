package proc

import (
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseTCP(t *testing.T) {
	t.Parallel()
	const heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	const to9092 = "   1: 0100007F:D2F0 0100007F:2384 01 00000000:00000000 00:00000000 00000000     0        0 77 1 0 20 4 30 10 -1\n"
	const listening = "   0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 78 1 0 100 0 0 10 0\n"
	own := map[string]bool{"77": true, "78": true}
	tests := []struct {
		name, table string
		inodes      map[string]bool
		want        map[int]int
		bad         bool
	}{
		{"none", heading, own, map[int]int{}, false},
		{"an established one", heading + to9092, own, map[int]int{9092: 1}, false},
		{"two", heading + to9092 + to9092, own, map[int]int{9092: 2}, false},
		{"a listener is not a connection", heading + listening, own, map[int]int{}, false},
		{"another process'", heading + to9092, map[string]bool{"1": true}, map[int]int{}, false},
		{"cut short", heading + "1: 0100007F:D2F0\n", own, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseTCP([]byte(tt.table), tt.inodes)
			require.Equal(t, tt.bad, err != nil, "error: %v", err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestOwnConnectionsDescriptorsAndThreads(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	port := l.Addr().(*net.TCPAddr).Port
	for want := range 3 {
		got, err := Connections(os.Getpid())
		require.NoError(t, err)
		require.Equal(t, want, got[port])
		var d net.Dialer
		conn, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
	}
	n, err := Descriptors(os.Getpid())
	require.NoError(t, err)
	require.GreaterOrEqual(t, n, 4, "the listener and three connections")
	n, err = Threads(os.Getpid())
	require.NoError(t, err)
	require.Positive(t, n)
	_, err = Threads(-1)
	require.Error(t, err)
}
