package load

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestReadResponse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in   string
		want       response
		unreadable bool
		cut        bool
	}{
		{name: "receipt", in: "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}", want: response{status: 202, body: []byte("{}")}},
		{name: "empty body", in: "HTTP/1.1 204 \r\ncontent-length:0\r\n\r\n", want: response{status: 204, body: []byte{}}},
		{
			name: "a body that looks like a header end", in: "HTTP/1.1 400 Bad\r\nContent-Length: 6\r\nConnection: Close\r\n\r\n\r\n\r\nxy",
			want: response{status: 400, body: []byte("\r\n\r\nxy"), closes: true},
		},
		{name: "no length", in: "HTTP/1.1 200 OK\r\n\r\n", unreadable: true},
		{name: "chunked", in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", unreadable: true},
		{name: "negative length", in: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", unreadable: true},
		{name: "no status", in: "HTTP/1.1 abc\r\nContent-Length: 0\r\n\r\n", unreadable: true},
		{name: "other protocol", in: "SSH-2.0-x\r\n\r\n", unreadable: true},
		{name: "header without a colon", in: "HTTP/1.1 200 OK\r\nx\r\n\r\n", unreadable: true},
		{name: "more than the body", in: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", unreadable: true},
		{name: "too long", in: "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + strings.Repeat("x", responseBuffer), unreadable: true},
		{name: "head cut", in: "HTTP/1.1 200 OK\r\nContent-Le", cut: true},
		{name: "body cut", in: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", cut: true},
		{name: "nothing", in: "", cut: true},
	}
	readers := map[string]func(io.Reader) io.Reader{
		"at once":      func(r io.Reader) io.Reader { return r },
		"byte by byte": iotest.OneByteReader,
		"with the EOF": iotest.DataErrReader,
	}
	for _, tt := range tests {
		for how, reader := range readers {
			if tt.name == "more than the body" && how == "byte by byte" {
				continue // the reader stops at the end of the body and cannot know
			}
			t.Run(tt.name+" "+how, func(t *testing.T) {
				t.Parallel()
				got, err := readResponse(reader(strings.NewReader(tt.in)), make([]byte, responseBuffer))
				switch {
				case tt.unreadable:
					require.ErrorIs(t, err, errUnreadable)
				case tt.cut:
					require.ErrorIs(t, err, io.EOF)
				default:
					require.NoError(t, err)
					require.Equal(t, tt.want, got)
				}
			})
		}
	}
}

func FuzzReadResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add([]byte("HTTP/1.1 202\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := readResponse(strings.NewReader(string(in)), make([]byte, 256))
		if err == nil && (got.status < -99 || len(got.body) > 256) {
			t.Fatalf("accepted %q as %+v", in, got)
		}
	})
}
