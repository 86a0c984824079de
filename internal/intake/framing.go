package intake

import (
	"bytes"
	"math"

	"github.com/valyala/fasthttp"
)

// framing says where a request's body ends.
type framing struct {
	length  int64 // of the body in bytes
	chunked bool  // its length is not known; length is 0
	expects bool  // the client waits for 100 before it sends the body
	// fault is why it is uncertain where the body ends, or which host the request is
	// for; empty if both are certain.
	fault string
}

func (f framing) hasBody() bool { return f.chunked || f.length > 0 }

// framingOf reads the header as it came, strictly. fasthttp accepts much that is
// refused here; behind a proxy that reads it in another way, one request could be
// smuggled in another (RFC 9112 §2.2, §3, §5, §6).
func framingOf(h *fasthttp.RequestHeader) framing {
	f, hosts, lengths := framing{}, 0, 0
	if fault := requestLineFault(h); fault != "" {
		return framing{fault: fault}
	}
	var host []byte
	for rest := h.RawHeaders(); len(rest) > 0; {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		rest = after
		n := len(line) - 1
		if n < 0 || line[n] != '\r' {
			return framing{fault: "a line ends in LF without CR"}
		}
		line = line[:n]
		if n == 0 {
			break
		}
		name, value, fault := field(line)
		if fault != "" {
			return framing{fault: fault}
		}
		switch {
		case equalFold(name, "Host"):
			hosts++
			host = value
		case equalFold(name, "Content-Length"):
			lengths++
			if f.length, fault = contentLength(value); fault != "" {
				return framing{fault: fault}
			}
		case equalFold(name, "Transfer-Encoding"):
			if f.chunked || !equalFold(value, "chunked") {
				return framing{fault: "the only Transfer-Encoding is chunked, once"}
			}
			f.chunked = true
		case equalFold(name, "Expect"):
			f.expects = equalFold(value, "100-continue")
		}
	}
	switch {
	case lengths > 1:
		f.fault = "Content-Length is there more than once"
	case f.chunked && lengths > 0:
		f.fault = "Content-Length and Transfer-Encoding exclude each other"
	case f.chunked && !h.IsHTTP11(): // RFC 9112 §6.1
		f.fault = "HTTP/1.0 has no Transfer-Encoding"
	case hosts > 1 || hosts == 0 && h.IsHTTP11():
		f.fault = "the Host header must be there once"
	default:
		f.fault = targetFault(h.RequestURI(), host)
	}
	f.expects = f.expects && h.IsHTTP11()
	return f
}

// requestLineFault returns what is wrong with the first line, empty if nothing is
// (RFC 9112 §3).
func requestLineFault(h *fasthttp.RequestHeader) string {
	for _, c := range h.Method() {
		if !isToken[c] {
			return "the method is ill-formed"
		}
	}
	for _, c := range h.RequestURI() {
		if c <= ' ' || c == 0x7f {
			return "the request's target has a space or a control character"
		}
	}
	if p := h.Protocol(); string(p) != "HTTP/1.1" && string(p) != "HTTP/1.0" {
		return "the protocol is neither HTTP/1.1 nor HTTP/1.0"
	}
	return ""
}

// field splits a header or trailer line (RFC 9110 §5.5, §5.6.2).
func field(line []byte) (name, value []byte, fault string) {
	if line[0] == ' ' || line[0] == '\t' {
		return nil, nil, "a header is folded over lines"
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 {
		return nil, nil, "malformed header line"
	}
	for _, c := range name {
		if !isToken[c] {
			return nil, nil, "a header's name has a space or another character that names may not have"
		}
	}
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return nil, nil, "a header has a control character"
		}
	}
	return name, bytes.Trim(value, " \t"), ""
}

// contentLength parses digits and nothing else (RFC 9110 §8.6).
func contentLength(value []byte) (n int64, fault string) {
	for _, c := range value {
		if c < '0' || c > '9' || n > (math.MaxInt64-9)/10 {
			return 0, "Content-Length is not a number of bytes"
		}
		n = n*10 + int64(c-'0')
	}
	if len(value) == 0 {
		return 0, "Content-Length is empty"
	}
	return n, ""
}

// targetFault returns what is wrong with a request's target, empty if nothing is
// (RFC 9112 §3.2). A target is a path, or a URL, as clients send it to proxies, of the
// host that the Host header names.
func targetFault(target, host []byte) string {
	if bytes.HasPrefix(target, []byte("/")) || string(target) == "*" {
		return ""
	}
	scheme, rest, ok := bytes.Cut(target, []byte("://"))
	if !ok || !equalFold(scheme, "http") && !equalFold(scheme, "https") {
		return "the request's target is neither a path nor a URL"
	}
	if end := bytes.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	if host != nil && !equalFold(rest, string(host)) {
		return "the request line and the Host header name different hosts"
	}
	return ""
}

// equalFold compares ASCII only: bytes.EqualFold takes the Kelvin sign for a k.
func equalFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if c != b[i] && (c|0x20 != b[i]|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// isToken marks the characters that methods and names may have (RFC 9110 §5.6.2).
var isToken = func() (is [256]bool) {
	for c := range is {
		is[c] = '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		is[c] = true
	}
	return is
}()
