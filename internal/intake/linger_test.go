package intake

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// A client that is still sending must get to read the refusal: without a
// lingering close its system would throw the answer away.
func TestTooLargeIsReadByAClientThatIsStillSending(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	head := "POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\n"
	for name, request := range map[string]string{
		"declared length": head + "Content-Length: " + strconv.Itoa(size) + "\r\n\r\n" + strings.Repeat(" ", size),
		"chunked":         head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("400\r\n"+strings.Repeat(" ", kib)+"\r\n", size/kib) + "0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, accepting, withBodyLimit(kib)).dial(t)
			w.send(t, request) // all of it, before a byte of the answer is read
			a := w.answer(t)
			requireRefused(t, a, event.EventTooLarge, "1024 bytes")
			require.True(t, a.Close, "Connection: close")
		})
	}
}

func TestDeclaredLengthIsRefusedBeforeTheBody(t *testing.T) {
	t.Parallel()
	w := start(t, accepting, withBodyLimit(kib)).dial(t)
	w.send(t, "POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\nContent-Length: 9999999\r\n\r\n")
	requireRefused(t, w.answer(t), event.EventTooLarge, "1024 bytes")
	_, err := w.r.ReadByte()
	require.ErrorIs(t, err, io.EOF, "nothing more is to come")
}

func TestLingeringIsBounded(t *testing.T) {
	t.Parallel()
	w := start(t, accepting, withBodyLimit(kib)).dial(t)
	w.send(t, "POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\nContent-Length: 999999999999\r\n\r\n")
	requireRefused(t, w.answer(t), event.EventTooLarge, "")
	block := make([]byte, 64*kib)
	var sent int
	var err error
	for err == nil { // ends with the connection's deadline at the latest
		var n int
		n, err = w.Write(block)
		sent += n
	}
	var timeout interface{ Timeout() bool }
	require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "the server must close: %v", err)
	require.Less(t, sent, 8*lingerBytes, "what the server reads and what systems buffer")
}

func TestIdleLingeringEnds(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, withBodyLimit(kib))
	w := g.dial(t)
	w.send(t, "POST /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\nContent-Length: 999999999999\r\n\r\n")
	requireRefused(t, w.answer(t), event.EventTooLarge, "")
	require.Eventually(t, func() bool { return g.OpenConnections() == 0 }, patience, 10*time.Millisecond)
}
