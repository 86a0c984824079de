package intake

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// Every row is a request that another program could read in another way. It is refused,
// and the request after it on the same connection is never answered.
func TestAmbiguousRequestsEndTheConnection(t *testing.T) {
	t.Parallel()
	const line, host, two = "POST /v1/events/orders.placed HTTP/1.1\r\n", "Host: gateway\r\n", "2\r\n{}\r\n0\r\n\r\n"
	header := func(h string) string { return line + host + h + "\r\n\r\n{}" }
	coded := func(h, body string) string { return line + host + h + "\r\n\r\n" + body }
	chunk := func(body string) string { return coded("Transfer-Encoding: chunked", body) }
	for name, request := range map[string]string{
		"length and coding":             coded("Content-Length: 2\r\nTransfer-Encoding: chunked", two),
		"coding and length":             coded("Transfer-Encoding: chunked\r\nContent-Length: 2", two),
		"coding and a length of 0":      coded("Transfer-Encoding: chunked\r\nContent-Length: 0", two),
		"two lengths":                   header("Content-Length: 2\r\nContent-Length: 3"),
		"two lengths that are the same": header("Content-Length: 2\r\nContent-Length: 2"),
		"lengths in a list":             header("Content-Length: 2, 2"),
		"length with a plus":            header("Content-Length: +2"),
		"length with a minus":           header("Content-Length: -2"),
		"length with a minus, zero":     header("Content-Length: -0"),
		"length with a space":           header("Content-Length: 1 2"),
		"length in hexadecimal":         header("Content-Length: 0x2"),
		"length with a fraction":        header("Content-Length: 2.0"),
		"length with a separator":       header("Content-Length: 1_0"),
		"length beyond 64 bits":         header("Content-Length: 18446744073709551618"),
		"length far beyond":             header("Content-Length: " + strings.Repeat("9", 400)),
		"no length":                     header("Content-Length:"),
		"a blank length":                header("Content-Length:  "),
		"length in other digits":        header("Content-Length: ２"),
		"folded header":                 header("X-A: b\r\n c\r\nContent-Length: 2"),
		"folded header, tab":            header("X-A: b\r\n\tc\r\nContent-Length: 2"),
		"folded coding":                 coded("Transfer-Encoding:\r\n chunked", two),
		"folded first header":           line + " X: y\r\n" + host + "Content-Length: 2\r\n\r\n{}",
		"bare LF behind a header":       line + "Host: gateway\nContent-Length: 2\r\n\r\n{}",
		"bare LF at the end":            line + host + "Content-Length: 2\r\n\n{}",
		"bare LFs throughout":           strings.ReplaceAll(header("Content-Length: 2"), "\r\n", "\n"),
		"bare CR in a value":            header("X-A: b\rContent-Length: 9\r\nContent-Length: 2"),
		"bare CR in a name":             header("X-A\r: b\r\nContent-Length: 2"),
		"two CRs":                       header("X-A: b\r\r\nContent-Length: 2"),
		"CR in the target":              "POST /v1/events/orders.placed\r HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\n{}",
		"CR for a hyphen":               header("Content\rLength: 9\r\nContent-Length: 2"), // fasthttp compares bytes | 0x20
		"NUL in a value":                header("X-A: b\x00c\r\nContent-Length: 2"),
		"NUL in a name":                 header("X\x00A: b\r\nContent-Length: 2"),
		"control character in a value":  header("X-A: \x1b[2J\r\nContent-Length: 2"),
		"DEL in a value":                header("X-A: \x7f\r\nContent-Length: 2"),
		"vertical tab before the value": coded("Transfer-Encoding:\vchunked", two),
		"form feed behind the value":    coded("Transfer-Encoding: chunked\f", two),
		"space before the colon":        header("Content-Length : 2"),
		"tab before the colon":          coded("Transfer-Encoding\t: chunked", two),
		"space before the name":         line + host + "X: y\r\n Content-Length: 2\r\n\r\n{}",
		"name with a space":             header("X A: b\r\nContent-Length: 2"),
		"name beyond ASCII":             header("Cöntent: b\r\nContent-Length: 2"),
		"name in quotes":                header("\"Content-Length\": 2"),
		"no name":                       header(": b\r\nContent-Length: 2"),
		"no colon":                      header("Nonsense\r\nContent-Length: 2"),
		"coding twice":                  coded("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", two),
		"coding and another":            coded("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", two),
		"identity and coding":           coded("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", two),
		"identity":                      header("Transfer-Encoding: identity\r\nContent-Length: 2"),
		"gzip, chunked":                 coded("Transfer-Encoding: gzip, chunked", two),
		"chunked, gzip":                 coded("Transfer-Encoding: chunked, gzip", two),
		"chunked, chunked":              coded("Transfer-Encoding: chunked, chunked", two),
		"xchunked":                      coded("Transfer-Encoding: xchunked", two),
		"chunked;":                      coded("Transfer-Encoding: chunked;q=1", two),
		"chunked in quotes":             coded("Transfer-Encoding: \"chunked\"", two),
		"comma chunked":                 coded("Transfer-Encoding: , chunked", two),
		"no coding":                     coded("Transfer-Encoding:", two),
		"chunked beyond ASCII":          coded("Transfer-Encoding: chun\u212aed", two), // the Kelvin sign, which folds to k
		"coding in HTTP/1.0":            strings.Replace(coded("Transfer-Encoding: chunked\r\nConnection: keep-alive", two), "HTTP/1.1", "HTTP/1.0", 1),
		"two hosts":                     line + host + "Host: other\r\nContent-Length: 2\r\n\r\n{}",
		"two hosts that are the same":   line + host + host + "Content-Length: 2\r\n\r\n{}",
		"no host":                       line + "Content-Length: 2\r\n\r\n{}",
		"target of another host":        "POST http://other/v1/events/orders.placed HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\n{}",
		"target with a user":            "POST http://gateway@other/v1/events/orders.placed HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\n{}",
		"target with a space":           "POST /v1/events/orders.placed /x HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\n{}",
		"a blank target":                "POST  HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\n{}",
		"target of a host":              "POST gateway HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\n{}",
		"target of another scheme":      "POST ftp://gateway/v1/events/orders.placed HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\n{}",
		"HTTP/1.2":                      "POST /v1/events/orders.placed HTTP/1.2\r\n" + host + "Content-Length: 2\r\n\r\n{}",
		"HTTP/2.0":                      "POST /v1/events/orders.placed HTTP/2.0\r\n" + host + "Content-Length: 2\r\n\r\n{}",
		"http/1.1":                      "POST /v1/events/orders.placed http/1.1\r\n" + host + "Content-Length: 2\r\n\r\n{}",
		"method with a colon":           "PO:ST /v1/events/orders.placed HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\n{}",
		"chunk of words":                chunk("two\r\n{}\r\n0\r\n\r\n"),
		"chunk without a size":          chunk("\r\n{}\r\n0\r\n\r\n"),
		"chunk with a plus":             chunk("+2\r\n{}\r\n0\r\n\r\n"),
		"chunk with a minus":            chunk("-2\r\n{}\r\n0\r\n\r\n"),
		"chunk with 0x":                 chunk("0x2\r\n{}\r\n0\r\n\r\n"),
		"chunk with a space behind":     chunk("2 \r\n{}\r\n0\r\n\r\n"),
		"chunk with a space before":     chunk(" 2\r\n{}\r\n0\r\n\r\n"),
		"chunk beyond 64 bits":          chunk("10000000000000002\r\n{}\r\n0\r\n\r\n"),
		"chunk beyond 63 bits":          chunk("8000000000000002\r\n{}\r\n0\r\n\r\n"),
		"chunk of many zeros":           chunk(strings.Repeat("0", 300) + "2\r\n{}\r\n0\r\n\r\n"),
		"chunk longer than it says":     chunk("2\r\n{} \r\n0\r\n\r\n"),
		"chunk shorter than it says":    chunk("3\r\n{}\r\n0\r\n\r\n"),
		"chunk size, bare LF":           chunk("2\n{}\r\n0\r\n\r\n"),
		"chunk size, bare CR":           chunk("2\r{}\r\n0\r\n\r\n"),
		"chunk data, bare LF":           chunk("2\r\n{}\n0\r\n\r\n"),
		"last chunk, bare LF":           chunk("2\r\n{}\r\n0\n\r\n"),
		"extension, bare LF":            chunk("2;a\n{}\r\n0\r\n\r\n"),
		"extension, bare LF and CRLF":   chunk("2;a\nb\r\n{}\r\n0\r\n\r\n"),
		"extension, NUL":                chunk("2;a\x00\r\n{}\r\n0\r\n\r\n"),
		"a long extension":              chunk("2;" + strings.Repeat("a", 300) + "\r\n{}\r\n0\r\n\r\n"),
		"many long extensions":          chunk(strings.Repeat("1;"+strings.Repeat("a", 200)+"\r\n \r\n", 200) + "0\r\n\r\n"),
		"trailer, bare LF":              chunk("2\r\n{}\r\n0\r\nA: b\n\r\n"),
		"trailer that is none":          chunk("2\r\n{}\r\n0\r\nPOST / HTTP/1.1\r\n\r\n"),
		"trailer, folded":               chunk("2\r\n{}\r\n0\r\nA: b\r\n c\r\n\r\n"),
		"long trailers":                 chunk("2\r\n{}\r\n0\r\n" + strings.Repeat("A: b\r\n", 1000) + "\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			w := start(t, d).dial(t)
			w.send(t, request+rawPost("", "{}"))
			a := w.answer(t)
			requireRefused(t, a, event.MalformedRequest, "not well-formed HTTP")
			require.True(t, a.Close)
			rest, err := io.ReadAll(w.r)
			require.NoError(t, err, "the connection is closed in order")
			require.Empty(t, rest, "the second request is not answered")
			require.Empty(t, seen)
		})
	}
}

// These look odd, but are unambiguous.
func TestUnusualRequestsAreAnswered(t *testing.T) {
	t.Parallel()
	const line, host, two = "POST /v1/events/orders.placed HTTP/1.1\r\n", "Host: gateway\r\n", "2\r\n{}\r\n0\r\n\r\n"
	for name, request := range map[string]string{
		"length with zeros before":  line + host + "Content-Length: 0002\r\n\r\n{}",
		"names in upper case":       line + "HOST:gateway\r\nCONTENT-LENGTH:2\r\n\r\n{}",
		"Chunked":                   line + host + "transfer-encoding: ChunKed\r\n\r\n" + two,
		"tab before the value":      line + host + "Transfer-Encoding:\tchunked \t\r\n\r\n" + two,
		"extensions":                line + host + "Transfer-Encoding: chunked\r\n\r\n2;a=\"b;c\";d\r\n{}\r\n0;last\r\n\r\n",
		"size in upper case":        line + host + "Transfer-Encoding: chunked\r\n\r\nA\r\n{        }\r\n000\r\n\r\n",
		"trailers":                  line + host + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: 50\r\nHost: other\r\n\r\n",
		"target in absolute form":   "POST http://gateway/v1/events/orders.placed HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\n{}",
		"absolute form, upper case": "POST http://GATEWAY/v1/events/orders.placed HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\n{}",
		"empty line before":         "\r\n" + line + host + "Content-Length: 2\r\n\r\n{}",
		"value beyond ASCII":        line + host + "X-A: schön\r\nContent-Length: 2\r\n\r\n{}",
		"empty value":               line + host + "X-A:\r\nContent-Length: 2\r\n\r\n{}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, accepting).dial(t)
			w.send(t, request+rawPost("", "{}"))
			for i := range 2 {
				a := w.answer(t)
				require.Equal(t, http.StatusAccepted, a.StatusCode, "%d: %s", i, a.body)
			}
		})
	}
}

// A body that nobody reads is not the next request.
func TestUnreadBodiesAreNoRequests(t *testing.T) {
	t.Parallel()
	inner := rawPost("Idempotency-Key: inner", "{}")
	for name, head := range map[string]string{
		"GET":          "GET /problems HTTP/1.1\r\nHost: gateway\r\n",
		"HEAD":         "HEAD /problems HTTP/1.1\r\nHost: gateway\r\n",
		"OPTIONS":      "OPTIONS /v1/events HTTP/1.1\r\nHost: gateway\r\n",
		"DELETE":       "DELETE /v1/events HTTP/1.1\r\nHost: gateway\r\n",
		"BREW":         "BREW /v1/events HTTP/1.1\r\nHost: gateway\r\n",
		"unknown type": "POST /v1/events/no.such HTTP/1.1\r\nHost: gateway\r\n",
		"unknown path": "POST /no/such HTTP/1.1\r\nHost: gateway\r\n",
	} {
		for how, body := range map[string]string{
			"declared": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(inner), inner),
			"chunked":  "Transfer-Encoding: chunked\r\n\r\n" + chunked(inner, len(inner)),
			"waiting":  fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner),
			"large":    fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 50_000, strings.Repeat(inner, 50_000/len(inner)+1)[:50_000]),
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				d, seen := recording()
				w := start(t, d).dial(t)
				w.send(t, head+body)
				a, err := http.ReadResponse(w.r, &http.Request{Method: strings.Fields(head)[0]})
				require.NoError(t, err)
				_ = read(t, a)
				require.NotEqual(t, http.StatusAccepted, a.StatusCode)
				require.NoError(t, w.Conn.(interface{ CloseWrite() error }).CloseWrite())
				rest, err := io.ReadAll(w.r)
				require.NoError(t, err)
				require.Empty(t, rest)
				require.Empty(t, seen)
			})
		}
	}
}
