package intake

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestContinueIsSaidOnlyIfTheBodyIsWanted(t *testing.T) {
	t.Parallel()
	held := newHolding()
	g := start(t, held.door, withInFlight(20*kib), withBodyLimit(20*kib))
	one := g.dial(t)
	one.send(t, rawPost("", strings.Repeat(" ", 18*kib)))
	<-held.begun
	w := g.dial(t)
	w.send(t, toOrders+"Expect: 100-continue\r\nContent-Length: 3072\r\n\r\n")
	requireRefused(t, w.answer(t), event.Overloaded, "")
	for _, word := range []string{"100-continue", "100-Continue"} {
		w = g.dial(t)
		w.send(t, toOrders+"Expect: "+word+"\r\nContent-Length: 2\r\n\r\n")
		require.Equal(t, http.StatusContinue, w.answer(t).StatusCode)
		w.send(t, "{}")
		<-held.begun
	}
	w10 := g.dial(t)
	w10.send(t, "POST /v1/events/orders.placed HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}")
	<-held.begun
	close(held.gate)
	require.Equal(t, http.StatusAccepted, w.answer(t).StatusCode)
	require.Equal(t, http.StatusAccepted, w10.answer(t).StatusCode, "HTTP/1.0 has no 100")
}

func TestBytesAreAdmittedBeforeTheyAreRead(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"declared":    toOrders + "Content-Length: 30000\r\n\r\n", // and never sent
		"chunked":     toOrders + "Transfer-Encoding: chunked\r\n\r\n7530\r\n" + strings.Repeat(" ", 30_000),
		"a small one": toOrders + "Content-Length: 5000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			held := newHolding()
			g := start(t, held.door, withInFlight(64*kib))
			body := strings.Repeat(" ", 30*kib)
			first, second := g.dial(t), g.dial(t)
			for _, w := range []wire{first, second} {
				w.send(t, rawPost("", body))
				<-held.begun
			}
			require.EqualValues(t, 60*kib, g.BodyBytes())
			third := g.dial(t)
			third.send(t, request)
			a := third.answer(t)
			requireRefused(t, a, event.Overloaded, "65536")
			require.EqualValues(t, 60*kib, g.BodyBytes(), "a refusal holds nothing")
			close(held.gate)
			require.Equal(t, http.StatusAccepted, first.answer(t).StatusCode)
			require.Equal(t, http.StatusAccepted, second.answer(t).StatusCode)
			require.Zero(t, g.BodyBytes())
		})
	}
}

// Anybody can post to a webhook's path: bytes that are only announced must take nothing
// from others.
func TestAnnouncedBytesHoldNothing(t *testing.T) {
	t.Parallel()
	d, seen := recording()
	g := start(t, d, withInFlight(4<<20), func(c *Config) { c.BodyLimit = 1 << 20 })
	for range 50 { // 25 MB
		idle := g.dial(t)
		idle.send(t, toOrders+"Content-Length: 500000\r\n\r\n")
		idle.send(t, "{")
	}
	require.Eventually(t, func() bool { return g.BodyBytes() == 50*smallBody }, 10*time.Second, time.Millisecond)
	a := g.post(t, ordersPath, strings.Repeat(" ", 500_000)+"{}")
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	require.Len(t, (<-seen).data, 500_002)
	require.EqualValues(t, 50*smallBody, g.BodyBytes())
}

func TestAdmittedBytesAreGivenBack(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"accepted":       rawPost("", "{}"),
		"chunked":        toOrders + "Transfer-Encoding: chunked\r\n\r\n" + chunked(strings.Repeat(" ", 20_000), 777),
		"over the limit": toOrders + "Transfer-Encoding: chunked\r\n\r\n" + chunked(strings.Repeat(" ", 70_000), 7777),
		"broken chunks":  toOrders + "Transfer-Encoding: chunked\r\n\r\n5\r\nabcdefgh",
		"never comes":    toOrders + "Content-Length: 30000\r\n\r\n",
		"gzip":           rawPost("Content-Encoding: gzip", compress(t, Gzip, strings.Repeat(" ", 30_000))),
		"broken gzip":    rawPost("Content-Encoding: gzip", compress(t, Gzip, strings.Repeat("a b c", 30_000))[:100]),
		"a bomb":         rawPost("Content-Encoding: br", compress(t, Brotli, strings.Repeat(" ", 3_000_000))),
		"no such type":   "POST /v1/events/no.such HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{}",
		"a panic":        rawPost("ce-subject: panic", "{}"),
		"body of a GET":  "GET /problems HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, func(r received) {
				if r.subject == "panic" {
					panic("broken")
				}
			}, withReadTimeout(200*time.Millisecond))
			w := g.dial(t)
			w.send(t, request)
			w.answer(t)
			require.Zero(t, g.BodyBytes())
		})
	}
}

func TestCutOffBodiesAreMalformed(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	for name, request := range map[string]string{
		"declared":        toOrders + "Content-Length: 30000\r\n\r\n{",
		"nothing of it":   toOrders + "Content-Length: 30000\r\n\r\n",
		"in a chunk":      toOrders + "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
		"in a chunk size": toOrders + "Transfer-Encoding: chunked\r\n\r\n5",
		"in the trailers": toOrders + "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := g.dial(t)
			w.send(t, request)
			require.NoError(t, w.Conn.(interface{ CloseWrite() error }).CloseWrite())
			a := w.answer(t)
			requireRefused(t, a, event.MalformedRequest, "ends too soon")
			require.True(t, a.Close)
		})
	}
}

// The limit is for the whole request: bytes that trickle in do not prolong it.
func TestTricklingBodiesTimeOut(t *testing.T) {
	t.Parallel()
	const limit = 300 * time.Millisecond
	g := start(t, accepting, withReadTimeout(limit))
	w := g.dial(t)
	begun := time.Now()
	w.send(t, toOrders+"Content-Length: 30000\r\n\r\n")
	stop := make(chan struct{})
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				_, _ = w.Write([]byte(" "))
			}
		}
	}()
	requireRefused(t, w.answer(t), event.RequestTimeout, "300ms")
	close(stop)
	require.GreaterOrEqual(t, time.Since(begun), limit-10*time.Millisecond)
	require.Zero(t, g.BodyBytes())
}

func TestConnectionsAreKeptWhereLittleIsUnread(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body  string
		close bool
	}{
		"nothing": {"", false},
		"small":   {"{}", false},
		"limit":   {strings.Repeat(" ", restLimit), false},
		"over it": {strings.Repeat(" ", restLimit+1), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, accepting).dial(t)
			w.send(t, strings.Replace(rawPost("", c.body), "orders.placed", "no.such", 1)+rawPost("", "{}"))
			a := w.answer(t)
			requireRefused(t, a, event.UnknownEventType, "")
			require.Equal(t, c.close, a.Close)
			if !c.close {
				require.Equal(t, http.StatusAccepted, w.answer(t).StatusCode)
				return
			}
			_, err := http.ReadResponse(w.r, nil)
			require.Error(t, err, "no second answer")
		})
	}
}

func TestBodiesArriveToTheByte(t *testing.T) {
	t.Parallel()
	seen := make(chan []byte, 1)
	g := start(t, func(r received) {
		seen <- bytes.Clone(r.data) // valid only until the answer
	})
	w := g.dial(t)
	for _, n := range []int{1, 2, 500, smallBody - 1, smallBody, smallBody + 1, 20_000, firstGrown - 1, firstGrown} {
		text := strings.Repeat("0123456789abcde\n", n/16+1)[:n]
		for how, request := range map[string]string{
			"declared":     rawPost("", text),
			"one chunk":    toOrders + "Transfer-Encoding: chunked\r\n\r\n" + chunked(text, n),
			"chunks":       toOrders + "Transfer-Encoding: Chunked\r\n\r\n" + chunked(text, 1000),
			"small chunks": toOrders + "Transfer-Encoding: chunked\r\n\r\n" + chunked(text, 3),
			"gzip":         rawPost("Content-Encoding: gzip", compress(t, Gzip, text)),
			"zstd, chunks": toOrders + "Content-Encoding: zstd\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(compress(t, Zstd, text), 100),
			"br":           rawPost("Content-Encoding: br", compress(t, Brotli, text)),
		} {
			w.send(t, request)
			require.Equal(t, http.StatusAccepted, w.answer(t).StatusCode)
			require.True(t, text == string(<-seen), "%s of %d bytes", how, n) //nolint:testifylint // no dump of 64 KiB
		}
	}
	require.Zero(t, g.BodyBytes())
}

func TestTrailersAreIgnored(t *testing.T) {
	t.Parallel()
	d, seen := recording()
	w := start(t, d).dial(t)
	w.send(t, toOrders+"Transfer-Encoding: chunked\r\nTrailer: Idempotency-Key\r\n\r\n2;name=\"value\"\r\n{}\r\n0\r\n"+
		"Idempotency-Key: k\r\nce-id: 1\r\nAuthorization: Bearer x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: b\r\nConnection: close\r\n\r\n"+
		rawPost("Idempotency-Key: second", "{}"))
	require.Equal(t, http.StatusAccepted, w.answer(t).StatusCode)
	r := <-seen
	require.Empty(t, r.key)
	require.Empty(t, r.id)
	require.Empty(t, r.credentials)
	require.Equal(t, http.StatusAccepted, w.answer(t).StatusCode)
	require.Equal(t, "second", (<-seen).key)
}
