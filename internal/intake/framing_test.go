package intake

import (
	"bufio"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

func TestFramingFault(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, head string
		fault      bool
	}{
		{"plain", "GET / HTTP/1.1\r\nHost: a\r\n", false},
		{"with a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n", false},
		{"chunked", "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\n", false},
		{"HTTP/1.0 needs no host", "GET / HTTP/1.0\r\n", false},
		{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-length: 30\r\n", true},
		{"the same length twice", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n", true},
		{"length and chunked", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n", true},
		{"unknown coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n", true},
		{"coding in front of chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n", true},
		{"two codings", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", true},
		{"no host", "GET / HTTP/1.1\r\n", true},
		{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", true},
		{"folded header", "GET / HTTP/1.1\r\nHost: a\r\nX-Y: a\r\n b\r\n", true},
		{"space before the colon", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 2\r\n", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var h fasthttp.RequestHeader
			if err := h.Read(bufio.NewReader(strings.NewReader(tt.head + "\r\n"))); err != nil {
				require.True(t, tt.fault, err) // fasthttp itself refuses it
				return
			}
			require.Equal(t, tt.fault, framingOf(&h).fault != "", framingOf(&h).fault)
		})
	}
}
