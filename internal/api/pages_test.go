package api

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/schema"
)

func TestLandingPage(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	page := g.do(t, http.MethodGet, "/", "", browserAccept)
	requireWebPage(t, page)
	text := string(page.body)
	for _, each := range samples(t).Types() {
		require.Contains(t, text, `id="`+each.Name+`"`)
		require.Contains(t, text, each.Title)
		require.Contains(t, text, "/v1/events/"+each.Name+" \\")
		for _, version := range each.Versions {
			require.Contains(t, text, "/v1/event-types/"+each.Name+"/schema?version="+version)
		}
	}
	require.Contains(t, text, `href="/docs#/payments.*/publish_payments_captured_v2"`)
	for _, link := range regexp.MustCompile(`(?:href|src)="(/[^"#]*)`).FindAllStringSubmatch(text, -1) {
		require.Equal(t, http.StatusOK, g.do(t, http.MethodGet, link[1], "").StatusCode, link[1])
	}

	var index map[string]string
	require.NoError(t, json.Unmarshal(g.do(t, http.MethodGet, "/", "").body, &index))
	for name, path := range index {
		require.Equal(t, http.StatusOK, g.do(t, http.MethodGet, path, "").StatusCode, name)
	}
}

// The Host header stands in a line that people paste into shells.
func TestLandingPageDoesNotRepeatAnyHost(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	for host, want := range map[string]string{
		"gateway.example.com:8443": "http://gateway.example.com:8443/v1/", "[::1]:80": "http://[::1]:80/v1/",
		"a;rm": "http://127.0.0.1:8080/v1/", "$(id)": "http://127.0.0.1:8080/v1/", "a'b": "http://127.0.0.1:8080/v1/",
	} {
		w := g.dial(t)
		w.send(t, "GET / HTTP/1.1\r\nHost: "+host+"\r\n"+browserAccept+"\r\n\r\n")
		a := w.answer(t)
		if a.StatusCode == http.StatusBadRequest {
			continue // refused before
		}
		require.Contains(t, string(a.body), "curl -i "+want, host)
	}
}

func TestCurlLineIsOneShellWord(t *testing.T) {
	t.Parallel()
	data := `{"who":"O'Brien $HOME ` + "`id`" + `","n":1}`
	for _, asked := range []bool{false, true} {
		line := curlLine("http://h", "orders.placed", []byte(data), asked)
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "curl() { for last; do :; done; printf %s \"$last\"; }\n"+line).Output()
		require.NoError(t, err)
		require.Equal(t, data, string(out))
		require.Equal(t, asked, strings.Contains(line, `-H "Authorization: Bearer $GATEWAY_KEY"`))
		require.NotEqual(t, line, curlLine("http://h", "orders.placed", []byte("{}"), asked), "another event has another key")
	}
}

func TestDocsPage(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	page := g.do(t, http.MethodGet, "/docs", "")
	requireWebPage(t, page)
	require.NotContains(t, string(page.body), "//", "nothing from elsewhere")
	for _, link := range regexp.MustCompile(`(?:href|src)="(/[^"#]*)`).FindAllStringSubmatch(string(page.body), -1) {
		require.Equal(t, http.StatusOK, g.do(t, http.MethodGet, link[1], "").StatusCode, link[1])
	}
}

func TestFilesAreCompressedAndKept(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	for _, path := range []string{"/openapi.json", "/openapi.yaml", "/asyncapi.json", "/docs/assets/swagger-ui.css"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			plain := g.do(t, http.MethodGet, path, "", "Accept-Encoding: identity")
			require.Empty(t, plain.Header.Get("Content-Encoding"))
			zipped := g.do(t, http.MethodGet, path, "", "Accept-Encoding: br, gzip")
			require.Equal(t, "gzip", zipped.Header.Get("Content-Encoding"))
			r, err := gzip.NewReader(strings.NewReader(string(zipped.body)))
			require.NoError(t, err)
			text, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, string(plain.body), string(text))
			again := g.do(t, http.MethodGet, path, "", "If-None-Match: "+plain.Header.Get("ETag"))
			require.Equal(t, http.StatusNotModified, again.StatusCode)
			require.Empty(t, again.body)
		})
	}
}

// changing is a catalog that is reloaded by a test.
type changing struct {
	Catalog
	now func() *schema.Set
}

func (c changing) Set() *schema.Set { return c.now() }

func TestDocumentsFollowReloads(t *testing.T) {
	t.Parallel()
	set := samples(t)
	g := start(t, accepting, withCatalog(changing{fixed{set}, func() *schema.Set { return set }}))
	before := g.do(t, http.MethodGet, "/openapi.json", "")
	require.Equal(t, before.Header.Get("ETag"), g.do(t, http.MethodGet, "/openapi.json", "").Header.Get("ETag"))

	set = typesOf(t, map[string]string{"stock.counted/v1.json": `{"x-event":{"key":"/sku"},"examples":[{"sku":"TEA"}]}`})
	after := g.do(t, http.MethodGet, "/openapi.json", "", "If-None-Match: "+before.Header.Get("ETag"))
	require.Equal(t, http.StatusOK, after.StatusCode)
	require.Contains(t, string(after.body), "/v1/events/stock.counted")
	require.NotContains(t, string(after.body), `"/v1/events/orders.placed":`)
	require.Contains(t, string(g.do(t, http.MethodGet, "/asyncapi.json", "").body), "stock.counted")
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	g := start(t, failing(event.Refuse(event.Internal, "the door must not be asked")))
	for _, each := range samples(t).Types() {
		for _, data := range each.Examples {
			a := g.do(t, http.MethodPost, "/v1/event-types/"+each.Name+"/validate", string(data))
			require.Equal(t, http.StatusOK, a.StatusCode, string(a.body))
			require.Contains(t, string(a.body), `"valid":true,"type":"`+each.Name+`","version":"`+each.Newest.Version+`","topic":"`+each.Newest.Topic+`"`)
		}
	}
	const path = "/v1/event-types/payments.captured/validate"
	old := g.do(t, http.MethodPost, path+"?version=v1", `{"paymentId":"p:1","orderId":"o","amount":1,"currency":"EUR"}`)
	require.Contains(t, string(old.body), `"version":"v1","topic":"payments.captured","key":"p:1"}`)
	requireRefused(t, g.do(t, http.MethodPost, path, "{"), event.MalformedJSON, "")
	requireRefused(t, g.do(t, http.MethodPost, path, "{}"), event.SchemaViolation, "")
	requireRefused(t, g.do(t, http.MethodPost, path, strings.Repeat(" ", 16<<10+1)), event.EventTooLarge, "16384 bytes; events of this type")
	requireRefused(t, g.do(t, http.MethodPost, path, "a=b", "Content-Type: application/x-www-form-urlencoded"), event.UnsupportedMediaType, "")
	requireRefused(t, g.do(t, http.MethodPost, "/v1/event-types/no.such/validate", "{}", "Idempotency-Key: k"), event.UnknownEventType, "")
}

func TestVersionInThePath(t *testing.T) {
	t.Parallel()
	d, seen := recording()
	g := start(t, d)
	require.Equal(t, http.StatusAccepted, g.do(t, http.MethodPost, "/v1/events/payments.captured/v1", "{}").StatusCode)
	require.Equal(t, "v1", (<-seen).Version)
	requireRefused(t, g.do(t, http.MethodPost, "/v1/events/payments.captured/v9", "{}"), event.UnknownEventType, "v9")
	requireRefused(t, g.do(t, http.MethodPost, "/v1/events/payments.captured/v1?version=v1", "{}"), event.MalformedRequest, "in the path")
}

func TestDocumentOfOneType(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	one := string(g.do(t, http.MethodGet, "/openapi.json?type=payments.captured", "").body)
	require.Contains(t, one, `"/v1/events/payments.captured/v1":`)
	require.NotContains(t, one, `"/v1/events/orders.placed":`)
	require.NotContains(t, one, `"/v1/webhooks/{source}":`, "other calls are not what somebody looks for who opens one type")
	requireResolved(t, one)
	none := string(g.do(t, http.MethodGet, "/openapi.json?type=", "").body)
	require.Contains(t, none, `"/v1/events/{type}":`)
	require.NotContains(t, none, `"/v1/events/payments.captured":`)
	requireRefused(t, g.do(t, http.MethodGet, "/openapi.json?type=payments.captred", ""), event.UnknownEventType, "payments.captured")
	page := g.do(t, http.MethodGet, "/docs?type=%22onload%3D%3C", "")
	requireWebPage(t, page)
	require.Contains(t, string(page.body), `data-document="/openapi.json?type=%22onload%3D%3C"`)
}

// requireResolved fails if a document refers to what is not in it.
func requireResolved(t *testing.T, text string) {
	t.Helper()
	var doc any
	require.NoError(t, json.Unmarshal([]byte(text), &doc))
	for _, ref := range regexp.MustCompile(`"\$ref":"#([^"]*)"`).FindAllStringSubmatch(text, -1) {
		at := doc
		for _, token := range strings.Split(ref[1], "/")[1:] {
			object, _ := at.(map[string]any)
			at = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(token)]
		}
		require.NotNil(t, at, "nothing is at %s", ref[1])
	}
}

// Swagger UI takes half a minute for 500 event types: it is given one at a time.
func TestDocsOfManyTypes(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for n := range manyTypes {
		files[fmt.Sprintf("t%d.x/v1.json", n)] = `{"x-event":{"key":"/id"}}`
	}
	set := typesOf(t, files)
	g := start(t, accepting, withCatalog(fixed{set}))
	page := string(g.do(t, http.MethodGet, "/docs", "").body)
	require.Contains(t, page, `data-document="/openapi.json?type="`)
	require.Contains(t, page, `<a href="/">All 40 event types</a>`)
	require.NotContains(t, page, `All other calls`)
	require.Contains(t, string(g.do(t, http.MethodGet, "/docs?type=t7.x", "").body), `<a href="/docs">All other calls</a>`)
	require.Contains(t, string(g.do(t, http.MethodGet, "/", "", browserAccept).body), `href="/docs?type=t7.x#/t7.*/publish_t7_x_v1"`)
}
