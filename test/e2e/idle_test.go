//go:build integration

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestIdleConnectionsDoNoHarm: ten thousand silent connections, half of them after a
// request, take no slot from busy ones and make their events little more expensive.
func TestIdleConnectionsDoNoHarm(t *testing.T) {
	const idle, events, conns = 10_000, 2000, 16
	raiseFileLimit(t, idle+1000)
	topic := newTopic(t)
	g := startGateway(t, options{
		maxConnections: idle + 1000,
		readTimeout:    2 * time.Minute, // so that the silent half stays open
		schemas:        schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": topic}}),
	})
	var p99Before, p99During time.Duration
	before := g.cpuOf(t, func() { p99Before = p99OfLoad(t, g, conns, events) })
	memoryBefore := residentMemory(t, g)

	opened := make([]net.Conn, idle)
	errs := make([]error, idle)
	t.Cleanup(func() {
		for _, c := range opened {
			if c != nil {
				_ = c.Close()
			}
		}
	})
	each(64, idle, func(i int) { opened[i], errs[i] = openIdle(g.addr, i%2 == 0) })
	for _, err := range errs {
		require.NoError(t, err)
	}
	during := g.cpuOf(t, func() { p99During = p99OfLoad(t, g, conns, events) })
	memoryDuring := residentMemory(t, g)
	t.Logf("without and with %d idle connections: p99 %v and %v; CPU %v and %v; memory (with race detector) %d and %d MiB, %d KiB a connection",
		idle, p99Before, p99During, before, during, memoryBefore>>20, memoryDuring>>20, (memoryDuring-memoryBefore)/idle>>10)
	require.Less(t, during, 3*before+time.Second, "CPU time")
	require.Empty(t, closedOnes(opened), "connections that the gateway closed")
}

// openIdle opens a connection, after a request or without any.
func openIdle(addr string, ask bool) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, patient)
	if err != nil || !ask {
		return conn, err
	}
	begun := time.Now()
	if err := conn.SetDeadline(begun.Add(patient)); err != nil {
		return conn, err
	}
	if _, err := io.WriteString(conn, "GET /nothing HTTP/1.1\r\nHost: gateway\r\n\r\n"); err != nil {
		return conn, err
	}
	_, err = readAnswer(conn, begun)
	return conn, err
}

// closedOnes are the connections that are closed or have an answer to read.
func closedOnes(conns []net.Conn) (closed []int) {
	var mu sync.Mutex
	each(64, len(conns), func(i int) {
		_ = conns[i].SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := conns[i].Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			mu.Lock()
			defer mu.Unlock()
			closed = append(closed, i)
		}
	})
	return closed
}

// p99OfLoad posts keyed events, requires a 202 for each, and returns a latency.
func p99OfLoad(t *testing.T, g *gateway, conns, n int) time.Duration {
	t.Helper()
	c, run := newClient(t, g.addr, conns), unique("p99")
	events := make([]*tracked, n)
	each(conns, n, func(i int) {
		events[i] = &tracked{order: newOrder(run, i)}
		events[i].try(c, "orders.placed")
	})
	requireAllAccepted(t, events)
	return percentile(events, 99)
}

// residentMemory is in bytes.
func residentMemory(t *testing.T, g *gateway) int64 {
	t.Helper()
	return int64(g.metric(t, "process_resident_memory_bytes"))
}

// raiseFileLimit lets this process, and those that it starts, open n files.
func raiseFileLimit(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	require.GreaterOrEqual(t, limit.Max, n, "this test needs %d open files; the hard limit (ulimit -Hn) is too low", n)
	limit.Cur = limit.Max
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit), fmt.Sprint(limit))
}
