package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// responseBuffer bounds a response; a receipt or a problem is far smaller.
const responseBuffer = 16 << 10

// itemBuffer is what each event of a batch adds to it.
const itemBuffer = 512

var errUnreadable = errors.New("response unreadable")

// response is one HTTP/1.1 response, as far as the generator needs it. The body
// is valid until the next read.
type response struct {
	status int
	body   []byte
	closes bool // the server will close the connection
}

// readResponse reads one response that has a Content-Length. One request is in
// flight, so bytes beyond the body are an error.
func readResponse(r io.Reader, buf []byte) (response, error) {
	var (
		filled  int
		bodyAt  int
		length  int
		resp    response
		headers bool
	)
	for {
		if headers && filled >= bodyAt+length {
			if filled > bodyAt+length {
				return resp, fmt.Errorf("%w: bytes after the body", errUnreadable)
			}
			resp.body = buf[bodyAt:filled]
			return resp, nil
		}
		if filled == len(buf) {
			return resp, fmt.Errorf("%w: longer than %d bytes", errUnreadable, len(buf))
		}
		n, err := r.Read(buf[filled:])
		filled += n
		if !headers {
			if end := bytes.Index(buf[:filled], []byte("\r\n\r\n")); end >= 0 {
				headers, bodyAt = true, end+4
				var perr error
				if resp, length, perr = parseHead(buf[:end+2]); perr != nil {
					return resp, perr
				}
			}
		}
		if err != nil && (!headers || filled < bodyAt+length) {
			return resp, fmt.Errorf("read response: %w", err)
		}
	}
}

// parseHead parses status line and headers; each line in head ends with CRLF.
func parseHead(head []byte) (response, int, error) {
	const prefix = "HTTP/1.1 "
	if len(head) < len(prefix)+3 || string(head[:len(prefix)]) != prefix {
		return response{}, 0, fmt.Errorf("%w: no HTTP/1.1 status line", errUnreadable)
	}
	status, err := strconv.Atoi(string(head[len(prefix) : len(prefix)+3]))
	if err != nil {
		return response{}, 0, fmt.Errorf("%w: status: %w", errUnreadable, err)
	}
	resp, length := response{status: status}, -1
	_, rest, _ := bytes.Cut(head, []byte("\r\n"))
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			return resp, 0, fmt.Errorf("%w: header without a colon", errUnreadable)
		}
		switch name, value := line[:colon], bytes.TrimSpace(line[colon+1:]); {
		case isHeader(name, "content-length"):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return resp, 0, fmt.Errorf("%w: content length %q", errUnreadable, value)
			}
		case isHeader(name, "connection"):
			resp.closes = isHeader(value, "close")
		}
	}
	if length < 0 {
		return resp, 0, fmt.Errorf("%w: no content length", errUnreadable)
	}
	return resp, length, nil
}

func isHeader(got []byte, want string) bool {
	return len(got) == len(want) && bytes.EqualFold(got, []byte(want))
}
