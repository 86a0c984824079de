package link

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// through returns a connection through a link to a server that does serve once.
func through(t *testing.T, delay time.Duration, serve func(*net.TCPConn)) *net.TCPConn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan struct{})
	go func() {
		defer close(served)
		if conn, err := listener.Accept(); err == nil {
			serve(conn.(*net.TCPConn))
		}
	}()
	link, err := New(listener.Addr().String(), delay)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", link.Addr())
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	t.Cleanup(func() {
		require.NoError(t, link.Close())
		_, _ = conn.Close(), listener.Close()
		<-served
	})
	return conn.(*net.TCPConn)
}

func echo(conn *net.TCPConn) {
	defer conn.Close()
	_, _ = io.Copy(conn, conn)
	_ = conn.CloseWrite()
}

func TestRoundTripTakesTheDelayTwice(t *testing.T) {
	const delay = 2 * time.Millisecond
	conn := through(t, delay, echo)
	took := make([]time.Duration, 200)
	for i := range took {
		began := time.Now()
		_, err := conn.Write([]byte("ping"))
		require.NoError(t, err)
		_, err = io.ReadFull(conn, make([]byte, 4))
		require.NoError(t, err)
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	t.Log("least", took[0], "median", took[100], "p99", took[198])
	require.GreaterOrEqual(t, took[0], 2*delay)
	// The least, because the machine may be busy with other things.
	require.Less(t, took[0], 2*delay+500*time.Microsecond)
}

// With 100 ms each way, a link that held back one piece at a time would pass at most
// 2.5 MiB per second and take 20 s.
func TestDelayDoesNotLimitThroughput(t *testing.T) {
	const size = 50 << 20
	sent := make([]byte, size)
	_, _ = rand.Read(sent)
	conn := through(t, 100*time.Millisecond, echo)
	began := time.Now()
	go func() {
		_, _ = conn.Write(sent)
		_ = conn.CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	took := time.Since(began)
	t.Log(took)
	require.True(t, bytes.Equal(sent, got), "%d bytes of %d", len(got), size)
	require.Less(t, took, 10*time.Second)
}

func TestEndsArePassedOn(t *testing.T) {
	t.Parallel()
	t.Run("the server answers after the client's end", func(t *testing.T) {
		t.Parallel()
		conn := through(t, time.Millisecond, func(conn *net.TCPConn) {
			defer conn.Close()
			got, _ := io.ReadAll(conn)
			_, _ = conn.Write(append(got, " to you"...))
		})
		_, err := conn.Write([]byte("good day"))
		require.NoError(t, err)
		require.NoError(t, conn.CloseWrite())
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, "good day to you", string(got))
	})
	t.Run("a reset", func(t *testing.T) {
		t.Parallel()
		conn := through(t, time.Millisecond, func(conn *net.TCPConn) {
			_, _ = conn.Read(make([]byte, 1))
			reset(conn)
		})
		_, err := conn.Write([]byte("x"))
		require.NoError(t, err)
		_, err = io.ReadAll(conn)
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
	t.Run("a server that is not there", func(t *testing.T) {
		t.Parallel()
		gone, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, gone.Close())
		link, err := New(gone.Addr().String(), time.Millisecond)
		require.NoError(t, err)
		conn, err := net.Dial("tcp", link.Addr())
		if err == nil { // the reset may come before Dial returns
			_, err = io.ReadAll(conn)
			_ = conn.Close()
		}
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.NoError(t, link.Close())
	})
	t.Run("the link", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer listener.Close()
		link, err := New(listener.Addr().String(), time.Millisecond)
		require.NoError(t, err)
		conn, err := net.Dial("tcp", link.Addr())
		require.NoError(t, err)
		defer conn.Close()
		far, err := listener.Accept()
		require.NoError(t, err)
		defer far.Close()
		require.NoError(t, link.Close())
		_, err = io.ReadAll(far)
		require.NoError(t, err)
	})
}
