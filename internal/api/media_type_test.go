package api

import (
	"cmp"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		headers string
		want    string // accepted as this; "": 415
		detail  string
	}{
		"none":                      {"", "application/json", ""},
		"json":                      {"Content-Type: application/json", "application/json", ""},
		"empty":                     {"Content-Type:", "application/json", ""},
		"upper case":                {"Content-Type: Application/JSON", "application/json", ""},
		"utf-8":                     {"Content-Type: application/json; charset=utf-8", "application/json", ""},
		"UTF-8 in quotes":           {`Content-Type: application/json;charset="UTF-8"`, "application/json", ""},
		"utf8":                      {"Content-Type: application/json; charset=utf8", "application/json", ""},
		"UTF8 in quotes":            {`Content-Type: application/json; charset="UTF8"`, "application/json", ""},
		"the registered alias":      {"Content-Type: application/json; charset=csUTF8", "application/json", ""},
		"a label of browsers":       {"Content-Type: application/json; charset=Unicode-1-1-UTF-8", "application/json", ""},
		"parameter in capitals":     {"Content-Type: application/json ; CHARSET=Utf8", "application/json", ""},
		"utf-8-sig":                 {"Content-Type: application/json; charset=utf-8-sig", "", `the charset "utf-8-sig" is not supported`},
		"utf-80":                    {"Content-Type: application/json; charset=utf-80", "", `"utf-80"`},
		"ascii":                     {"Content-Type: application/json; charset=us-ascii", "", `"us-ascii"`},
		"another parameter":         {"Content-Type: application/json; profile=x", "application/json", ""},
		"a json dialect":            {"Content-Type: application/vnd.shop.order+json", "application/vnd.shop.order+json", ""},
		"identity coding":           {"Content-Encoding: identity", "application/json", ""},
		"curl's form":               {"Content-Type: application/x-www-form-urlencoded", "", "-H 'Content-Type: application/json'"},
		"multipart":                 {"Content-Type: multipart/form-data; boundary=x", "", "send JSON"},
		"text":                      {"Content-Type: text/plain", "", "send JSON"},
		"json that is no data":      {"Content-Type: text/json", "", "send JSON"},
		"latin-1":                   {"Content-Type: application/json; charset=iso-8859-1", "", "UTF-8"},
		"utf-16":                    {"Content-Type: application/json; charset=utf-16", "", "UTF-8"},
		"structured cloudevent":     {"Content-Type: application/cloudevents+json", "", "ce-* headers"},
		"batch of cloudevents":      {"Content-Type: application/cloudevents-batch+json", "", "ce-* headers"},
		"ill-formed":                {"Content-Type: application/json; charset", "", "ill-formed"},
		"two charsets":              {"Content-Type: application/json; charset=utf-8; charset=latin-1", "", "ill-formed"},
		"a long one":                {"Content-Type: application/json; profile=" + strings.Repeat("x", 2048), "", "ill-formed"},
		"beyond UTF-8":              {"Content-Type: application/json; profile=\"\xff\"", "", "ill-formed"},
		"no subtype":                {"Content-Type: json", "", "send JSON"},
		"unknown coding":            {"Content-Encoding: x-secret", "", "send one of gzip, zstd, br"},
		"several codings":           {"Content-Encoding: gzip, br", "", "send one of gzip, zstd, br"},
		"codings in several lines":  {"Content-Encoding: identity\r\nContent-Encoding: gzip", "", "send one of gzip, zstd, br"},
		"coding of the right media": {"Content-Type: application/json\r\nContent-Encoding: deflate", "", "send one of gzip, zstd, br"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			w := start(t, d).dial(t)
			w.send(t, rawPost(c.headers, `{"a":1}`))
			a := w.answer(t)
			if c.want == "" {
				requireRefused(t, a, event.UnsupportedMediaType, c.detail)
				require.NotContains(t, string(a.body), "x-secret")
				require.Empty(t, seen)
				return
			}
			require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
			require.Equal(t, c.want, (<-seen).MediaType)
		})
	}
}

// The attribute datacontenttype is the content type as sent (CloudEvents HTTP
// binding 1.0 §3.1.1).
func TestContentTypesAreKept(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		"":                                "",
		"application/json":                "",
		"application/vnd.shop+json":       "",
		"Application/JSON":                "Application/JSON",
		"application/json; charset=utf8":  "application/json; charset=utf8",
		"application/json; charset=utf-8": "application/json; charset=utf-8",
		"application/vnd.shop+json;v=2":   "application/vnd.shop+json;v=2",
	} {
		t.Run(sent, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			g := start(t, d)
			headers := []string{"ce-specversion: 1.0", "ce-id: 1", "ce-source: /s", "ce-type: orders.placed"}
			if sent != "" {
				headers = append(headers, "Content-Type: "+sent)
			}
			for _, path := range []string{"/v1/events", "/v1/events/orders.placed"} {
				a := g.do(t, http.MethodPost, path, "{}", headers...)
				require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
				require.Equal(t, want, (<-seen).ContentType, path)
			}
			a := g.do(t, http.MethodPost, "/v1/events", `{`+context1+`,"datacontenttype":"`+cmp.Or(sent, "application/json")+`","data":{}}`, structuredType)
			require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
			require.Equal(t, want, (<-seen).ContentType, "structured")
		})
	}
}
