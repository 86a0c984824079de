package kafka

import (
	"context"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSilentHosts: a host that takes connections and does not answer gets one in a
// while, until it answers.
func TestSilentHosts(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, ln.Close()) }()
	accepted := make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	hosts := newSilentHosts(newTranslation(nil).dialer().dial)
	dial := func() (net.Conn, error) { return hosts.dial(t.Context(), "tcp", ln.Addr().String()) }
	// wait uses a connection until its deadline, as franz-go does.
	wait := func(conn net.Conn, limit time.Duration) {
		require.NoError(t, conn.SetDeadline(time.Now().Add(limit)))
		_, err := conn.Read(make([]byte, 1))
		require.Error(t, err)
		require.NoError(t, conn.Close())
		require.NoError(t, (<-accepted).Close())
	}

	conn, err := dial()
	require.NoError(t, err)
	wait(conn, time.Millisecond) // the client was closed
	conn, err = dial()
	require.NoError(t, err)
	wait(conn, silentAfter+10*time.Millisecond)
	_, err = dial()
	require.ErrorIs(t, err, errSilent)
	require.ErrorContains(t, err, ln.Addr().String())
	var failure *net.OpError
	require.ErrorAs(t, err, &failure, "franz-go asks for metadata")
	require.Equal(t, "dial", failure.Op)
	require.False(t, failure.Timeout())

	require.Eventually(t, func() bool { conn, err = dial(); return err == nil }, 10*time.Second, 10*time.Millisecond)
	_, err = dial()
	require.ErrorIs(t, err, errSilent, "one at a time")
	_, err = (<-accepted).Write([]byte("x"))
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	conn, err = dial()
	require.NoError(t, err, "it answers again")
	require.NoError(t, conn.Close())
}

// TestHostsThatTakeNoConnection are as silent as those that do not answer; a caller that
// gave up proves nothing.
func TestHostsThatTakeNoConnection(t *testing.T) {
	t.Parallel()
	hosts := newSilentHosts(func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
	})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := hosts.dial(gone, "tcp", "a:1")
	require.ErrorIs(t, err, context.Canceled)
	hosts.open = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
	}
	_, err = hosts.dial(t.Context(), "tcp", "a:1")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = hosts.dial(t.Context(), "tcp", "a:1")
	require.ErrorIs(t, err, errSilent)
}

// A host that answers one connection is not silent because an older one was not answered:
// it was started anew in between, say.
func TestAnOldConnectionSaysNothingOfAHostThatAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var peer net.Conn
		hosts := newSilentHosts(func(context.Context, string, string) (net.Conn, error) {
			var conn net.Conn
			conn, peer = net.Pipe()
			return conn, nil
		})
		old, err := hosts.dial(t.Context(), "tcp", "a:1")
		require.NoError(t, err)
		time.Sleep(2 * silentAfter)
		conn, err := hosts.dial(t.Context(), "tcp", "a:1")
		require.NoError(t, err)
		go func() { _, _ = peer.Write([]byte("x")) }()
		_, err = conn.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, old.Close())
		_, err = hosts.dial(t.Context(), "tcp", "a:1")
		require.NoError(t, err)
	})
}

// The one connection that is let through to a silent host goes to the next caller when
// the first gives up, and to all when the host refuses it.
func TestTheConnectionToASilentHostIsNotLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var failure error
		hosts := newSilentHosts(func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: failure}
		})
		dial := func(ctx context.Context) error {
			_, err := hosts.dial(ctx, "tcp", "a:1")
			return err
		}
		failure = context.DeadlineExceeded
		require.ErrorIs(t, dial(t.Context()), context.DeadlineExceeded)
		time.Sleep(silentPause + time.Millisecond)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		failure = context.Canceled
		require.ErrorIs(t, dial(gone), context.Canceled)
		time.Sleep(time.Millisecond)
		failure = syscall.ECONNREFUSED
		require.ErrorIs(t, dial(t.Context()), syscall.ECONNREFUSED)
		require.ErrorIs(t, dial(t.Context()), syscall.ECONNREFUSED)
	})
}
