package cli

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"eventgateway/internal/webhook"
)

// requestLine is the first line of a request (RFC 9112 §3); tools that save
// requests may leave out the version.
var requestLine = regexp.MustCompile(`^([A-Z]+) (\S+)( HTTP/[0-9.]+)?$`)

var errNoHeaders = errors.New("does not begin with headers: save the whole request (a line \"Name: value\" for each header, an empty line, the body), " +
	"or give the headers with --header, when FILE is the body alone")

// parseSaved reads a request as saved: perhaps a request line, headers, an empty
// line, and the body, to the byte. Lines may end as an editor left them.
func parseSaved(data []byte, source string) (webhook.Request, error) {
	r := webhook.Request{Method: http.MethodPost, URL: "/v1/webhooks/" + source, Header: http.Header{}}
	rest := bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	for first := true; ; first = false {
		line, after, found := bytes.Cut(rest, []byte("\n"))
		text := strings.TrimSuffix(string(line), "\r")
		rest = after
		if text == "" && !first {
			r.Body = rest
			return r, nil
		}
		if parts := requestLine.FindStringSubmatch(text); first && parts != nil {
			r.Method, r.URL = parts[1], pathOf(parts[2])
			continue
		}
		name, value, ok := strings.Cut(text, ":")
		if !ok || !headerName.MatchString(name) || !found {
			return r, errNoHeaders
		}
		r.Header.Add(name, strings.Trim(value, " \t"))
	}
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+^_`|~.-]+$")

// pathOf is path and query of a request's target, which may be a whole URL.
func pathOf(target string) string {
	if u, err := url.Parse(target); err == nil && u.Host != "" {
		return u.RequestURI()
	}
	return target
}
