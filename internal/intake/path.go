package intake

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// normalizePath decodes the percent-encoded characters of the path that need no
// encoding: with and without it a path is the same (RFC 3986 §6.2.2.2). Routes,
// parameters and permissions all see the decoded path. Everything else stays encoded: a
// "%2F" never becomes a separator. The target stays as it was sent, because some
// signatures are over it.
func normalizePath(uri *fasthttp.URI) {
	path := uri.PathOriginal()
	if bytes.IndexByte(path, '%') < 0 {
		return
	}
	if decoded, changed := decodeUnreserved(path); changed {
		uri.SetPathBytes(decoded)
	}
}

// decodeUnreserved decodes once: "%2565" stays as it is.
func decodeUnreserved(path []byte) (decoded []byte, changed bool) {
	decoded = make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			high, low := hexDigit(path[i+1]), hexDigit(path[i+2])
			if c := byte(high<<4 | low); high >= 0 && low >= 0 && isUnreserved(c) { //nolint:gosec // two digits of four bits
				decoded, changed = append(decoded, c), true
				i += 2
				continue
			}
		}
		decoded = append(decoded, path[i])
	}
	return decoded, changed
}

// isUnreserved tells the characters that mean the same encoded or not (RFC 3986 §2.3).
func isUnreserved(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || bytes.IndexByte([]byte("-._~"), c) >= 0
}
