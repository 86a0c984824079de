//go:build integration

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"eventgateway/test/services"
)

// plainBinary is the gateway without the race detector, which multiplies memory.
func plainBinary(t *testing.T) string {
	t.Helper()
	binary, err := suite.plain()
	require.NoError(t, err)
	return binary
}

const gib = 1 << 30

// bomb is a GiB of zero bytes in a content coding.
func bomb(t *testing.T, coding string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch coding {
	case "gzip":
		w, err = gzip.NewWriterLevel(&b, gzip.BestSpeed)
	case "zstd":
		w, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	case "br":
		w = brotli.NewWriterLevel(&b, brotli.BestSpeed)
	}
	require.NoError(t, err)
	block := make([]byte, 1<<20)
	for range gib / len(block) {
		_, err := w.Write(block)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// TestBombs: a compressed GiB, sent many times at once, is refused for little more
// than an honest body costs, and the gateway's memory does not grow beyond its limits.
func TestBombs(t *testing.T) {
	const (
		limit     = 1100 << 10 // above what the bombs have when they are sent
		clients   = 16
		times     = 4
		mayGrowBy = 512 << 20 // http.in_flight_limit, and as much garbage
		honest    = 512 << 10 // bytes
		// A thousandth of each bomb is decompressed. Cheapest is a GiB of zstd, which
		// takes hundreds of times as long as an honest body.
		atMostTimes = 10
	)
	topic := newTopic(t)
	g := startGateway(t, options{plain: true, bodyLimit: strconv.Itoa(limit), schemas: schemasFolder(t,
		eventType{name: "orders.placed", xevent: map[string]any{"topic": topic}})})
	before := residentMemory(t, g)
	sendAll := func(text string, want int) func() {
		return func() {
			errs := make([]error, clients*times)
			each(clients, clients*times, func(i int) {
				a, err := exchange(g.addr, text, true, patient)
				if err == nil && a.status != want {
					err = fmt.Errorf("%d %s", a.status, a.body)
				}
				errs[i] = err
			})
			for _, err := range errs {
				require.NoError(t, err)
			}
		}
	}
	plain := with(`"x":"` + strings.Repeat("x", honest) + `"`)
	cost := g.cpuOf(t, sendAll(rawRequest("/v1/events/orders.placed", jsonType, plain), http.StatusAccepted))
	accepted := len(readTopic(t, services.Shared(t).Kafka, topic).records)
	for _, coding := range []string{"gzip", "zstd", "br"} {
		body := bomb(t, coding)
		require.Less(t, len(body), limit)
		for how, text := range map[string]string{
			"declared": rawRequest("/v1/events/orders.placed", jsonType+"Content-Encoding: "+coding+"\r\n", string(body)),
			"chunked":  rawRequest("/v1/events/orders.placed", jsonType+"Content-Encoding: "+coding+"\r\nTransfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)),
		} {
			took := g.cpuOf(t, sendAll(text, http.StatusRequestEntityTooLarge))
			t.Logf("%s, %s: %d times %d KiB, CPU %v; honest ones %v", coding, how, clients*times, len(body)>>10, took, cost)
			require.Less(t, took, atMostTimes*cost+time.Second, "CPU time")
		}
	}
	after := residentMemory(t, g)
	t.Logf("memory: %d MiB before, %d MiB after", before>>20, after>>20)
	require.Less(t, after-before, int64(mayGrowBy))
	require.Zero(t, g.metric(t, "gateway_http_body_bytes"))
	require.Len(t, readTopic(t, services.Shared(t).Kafka, topic).records, accepted)
}

// TestSlowClientsDoNoHarm: ten thousand connections that send headers and bodies byte
// by byte, and some that never read, are ended in time, cost little memory, and do not
// hold up others: those are served while all the slow ones are still open.
func TestSlowClientsDoNoHarm(t *testing.T) {
	const (
		slow        = 10_000
		unread      = 50
		events      = 400
		conns       = 8
		readTimeout = 30 * time.Second // long enough for all of them to be open at once
		perConn     = 48 << 10         // bytes of memory
	)
	raiseFileLimit(t, slow+1000)
	topic := newTopic(t)
	g := startGateway(t, options{plain: true, maxConnections: slow + 1000, readTimeout: readTimeout, schemas: schemasFolder(t,
		eventType{name: "orders.placed", xevent: map[string]any{"topic": topic}})})
	measure := func(rounds int) (p99s []time.Duration) {
		for range rounds {
			p99s = append(p99s, p99OfLoad(t, g, conns, events))
		}
		return p99s
	}
	measure(1) // the first is slow
	before, memoryBefore := measure(3), residentMemory(t, g)

	begun := time.Now() // the first of them end readTimeout later
	all := openSlow(t, g.addr, slow, unread)
	trickling := all.trickle(t)
	during, memoryDuring := measure(3), residentMemory(t, g)
	open := g.metric(t, "gateway_http_connections")
	require.GreaterOrEqual(t, open, float64(slow), "the others were served only when slow connections had ended")
	answered := all.answers(readTimeout + 15*time.Second)
	trickling()
	took := time.Since(begun)
	after := measure(3)
	eventually(t, patient, "those that never read end", func() error {
		if n := g.metric(t, "gateway_http_connections"); n > conns {
			return fmt.Errorf("%v connections are open", n)
		}
		return nil
	})

	quiet := median(append(before, after...))
	t.Logf("p99: median %v without, %v with %d slow connections; memory %d and %d MiB, %d KiB a connection; the last ended after %v",
		quiet, median(during), slow, memoryBefore>>20, memoryDuring>>20, (memoryDuring-memoryBefore)/slow>>10, took.Round(time.Millisecond))
	require.Equal(t, map[int]int{http.StatusRequestTimeout: slow}, answered)
	require.Less(t, memoryDuring-memoryBefore, int64(slow*perConn))
	require.Zero(t, g.metric(t, "gateway_http_body_bytes"))
}

// TestLargeObjectsAreAnswered: unusual but valid data is accepted at a bounded cost.
func TestLargeObjectsAreAnswered(t *testing.T) {
	topic := newTopic(t)
	g := startGateway(t, options{schemas: schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": topic}})})
	var members strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&members, `,"member%d":%d`, i, i)
	}
	for name, body := range map[string]string{
		"10,000 members":     with(`"x":{"y":1` + members.String() + `}`),
		"64 levels":          with(`"x":` + strings.Repeat("[", 63) + strings.Repeat("]", 63)),
		"a number of 1,000":  with(`"x":` + strings.Repeat("9", 1000)),
		"a thousand numbers": with(`"x":[` + strings.Repeat("1e400,-1e-400,", 500) + "0]"),
		"100,000 brackets":   with(`"x":[` + strings.Repeat("[],", 100_000) + "[]]"),
	} {
		took := g.cpuOf(t, func() {
			a, err := exchange(g.addr, rawRequest("/v1/events/orders.placed", jsonType, body), false, patient)
			require.NoError(t, err)
			require.Equal(t, http.StatusAccepted, a.status, "%s: %s", name, a.body)
		})
		require.Less(t, took, 5*time.Second, "%s: CPU time", name)
	}
}

// slowClients are connections whose requests never become complete.
type slowClients struct {
	conns  []net.Conn
	unread []net.Conn
}

func openSlow(t *testing.T, addr string, n, unread int) *slowClients {
	t.Helper()
	all := &slowClients{conns: make([]net.Conn, n), unread: make([]net.Conn, unread)}
	errs := make([]error, n+unread)
	t.Cleanup(func() {
		for _, c := range slices.Concat(all.conns, all.unread) {
			if c != nil {
				_ = c.Close()
			}
		}
	})
	begin := []string{
		"POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\nX-Slow: ",
		rawRequest("/v1/events/orders.placed", jsonType+"Content-Length: 900000\r\n", " "),
		rawRequest("/v1/events/orders.placed", jsonType+"Content-Length: 5000\r\n", " "),
		rawRequest("/v1/events/orders.placed", jsonType+"Transfer-Encoding: chunked\r\n", "1000\r\n "),
	}
	each(64, n+unread, func(i int) {
		conn, err := net.DialTimeout("tcp", addr, patient)
		if errs[i] = err; err != nil {
			return
		}
		if i >= n {
			all.unread[i-n] = conn
			_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			_ = conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			_, _ = io.WriteString(conn, strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: gateway\r\n\r\n", 1000))
			return
		}
		all.conns[i] = conn
		text := begin[i%len(begin)] // a quarter announce 2 GB together
		_, errs[i] = io.WriteString(conn, text)
	})
	for _, err := range errs {
		require.NoError(t, err)
	}
	return all
}

// trickle sends a byte on each connection, again and again.
func (s *slowClients) trickle(t *testing.T) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			for i, c := range s.conns {
				if i%100 == 0 {
					select {
					case <-done:
						return
					case <-time.After(20 * time.Millisecond):
					}
				}
				_, _ = c.Write([]byte(" "))
			}
		}
	})
	stop = sync.OnceFunc(func() {
		close(done)
		running.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// answers counts the answers to the slow clients, by status; 0 is a connection without
// an answer.
func (s *slowClients) answers(limit time.Duration) map[int]int {
	counts := map[int]int{}
	var mu sync.Mutex
	begun := time.Now()
	each(64, len(s.conns), func(i int) {
		_ = s.conns[i].SetReadDeadline(begun.Add(limit))
		a, err := readAnswer(s.conns[i], begun)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			a.status = 0
		}
		counts[a.status]++
	})
	return counts
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
