package intake

import (
	"bytes"
	"io"
	"net/http/httputil"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// FuzzWireBody compares with net/http's reader of chunks, which is more lenient: what is
// accepted here is accepted there and is the same data, however it arrives.
func FuzzWireBody(f *testing.F) {
	for _, seed := range []string{
		"0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "5;a=b\r\nhello\r\n00\r\nX-Trailer: a\r\n\r\nGET / HTTP/1.1\r\n",
		"5\nhello\n0\n\n", "ffffffffffffffff\r\n", "5\r\nhelloX0\r\n\r\n", "-1\r\n", "5 \r\nhello\r\n0\r\n\r\n", "a\r\n0123456789\r\n0\r\nbad trailer\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		source := bytes.NewReader(sent)
		data, err := io.ReadAll(&wireBody{raw: source, chunked: true})
		slow, slowErr := io.ReadAll(&wireBody{raw: iotest.OneByteReader(bytes.NewReader(sent)), chunked: true})
		require.Equal(t, err == nil, slowErr == nil, "%v, byte by byte %v", err, slowErr)
		require.Equal(t, data, slow)
		if err != nil {
			return
		}
		taken := sent[:len(sent)-source.Len()]
		require.True(t, bytes.HasSuffix(taken, []byte("\r\n\r\n")), "what is behind the body is the next request's: %q", taken)
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(taken)))
		require.NoError(t, err)
		require.Equal(t, theirs, data)
	})
}
