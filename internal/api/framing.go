package api

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// framingFault says what makes it unsure where a request's body ends, or whom
// it is for, and empty if nothing does. fasthttp lets these pass; behind a proxy
// that reads them otherwise, one request could be smuggled in another
// (RFC 9112 §3.2, §5.1, §6.1, §6.3).
func framingFault(h *fasthttp.RequestHeader) string {
	var hosts, lengths, codings int
	for line := range bytes.SplitSeq(h.RawHeaders(), []byte("\n")) {
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			return "a header is folded over lines"
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case len(name) > 0 && (name[len(name)-1] == ' ' || name[len(name)-1] == '\t'):
			return "there is space between a header's name and its colon"
		case isHeader(name, "Host"):
			hosts++
		case isHeader(name, "Content-Length"):
			lengths++
		case isHeader(name, "Transfer-Encoding"):
			codings++
			if !bytes.EqualFold(bytes.TrimSpace(value), []byte("chunked")) {
				return "the only Transfer-Encoding is chunked"
			}
		}
	}
	switch {
	case lengths > 1:
		return "Content-Length is there more than once"
	case codings > 1:
		return "Transfer-Encoding is there more than once"
	case codings > 0 && lengths > 0:
		return "Content-Length and Transfer-Encoding exclude each other"
	case hosts > 1 || hosts == 0 && h.IsHTTP11():
		return "the Host header must be there once"
	}
	return ""
}

func isHeader(name []byte, want string) bool {
	return len(name) == len(want) && bytes.EqualFold(name, []byte(want))
}
