package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"

	"eventgateway/internal/webhook"
)

// maxDelivery bounds the file of a delivery, in bytes: no gateway takes more.
const maxDelivery = 100 << 20

func readDelivery(file string) (data []byte, err error) {
	in := os.Stdin
	if file != "-" {
		if in, err = os.Open(file); err != nil { //nolint:gosec // whoever runs the command may read the file
			return nil, fmt.Errorf("read delivery: %w", err)
		}
		defer func() { err = errors.Join(err, in.Close()) }()
	}
	data, err = io.ReadAll(io.LimitReader(in, maxDelivery+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read delivery: %w", err)
	case len(data) > maxDelivery:
		return nil, fmt.Errorf("%s: larger than %d MiB, more than any gateway takes", file, maxDelivery>>20)
	}
	return data, nil
}

// mediaTypeOf is what a provider would call such a body.
func mediaTypeOf(body []byte) string {
	text := strings.TrimLeft(string(body[:min(len(body), 1000)]), " \t\r\n")
	if strings.Contains(text, "=") && !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") {
		return "application/x-www-form-urlencoded"
	}
	return "application/json"
}

// requestLine is the first line of a request (RFC 9112 §3); tools that save
// requests may leave out the version.
var requestLine = regexp.MustCompile(`^([A-Z]+) (\S+)( HTTP/[0-9.]+)?$`)

var errNoHeaders = errors.New("does not begin with headers: save the whole request (a line \"Name: value\" for each header, an empty line, the body), " +
	"or give the headers with --header, when FILE is the body alone")

// parseSaved reads a saved request: a request line, which may be missing, headers, an
// empty line, and the body, which is taken byte for byte. Other lines may end with LF
// or CR LF.
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

// pathOf is the path and query of a request's target, which may be a whole URL.
func pathOf(target string) string {
	if u, err := url.Parse(target); err == nil && u.Host != "" {
		return u.RequestURI()
	}
	return target
}
