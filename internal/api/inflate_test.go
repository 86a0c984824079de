package api

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/intake"
)

// compress is text in a content coding.
func compress(tb testing.TB, coding, text string) string {
	tb.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case intake.Gzip:
		w = gzip.NewWriter(&b)
	case intake.Brotli:
		w = brotli.NewWriter(&b)
	case intake.Zstd:
		var err error
		w, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
		require.NoError(tb, err)
	}
	_, err := io.WriteString(w, text)
	require.NoError(tb, err)
	require.NoError(tb, w.Close())
	return b.String()
}

var allCodings = []string{intake.Gzip, intake.Zstd, intake.Brotli}

// What goes through the door is the inflated body: a retry in another coding is a
// retry.
func TestCompressedBodies(t *testing.T) {
	t.Parallel()
	const order = `{"orderId":"o-1"}`
	structured := `{` + context1 + `,"data":` + order + `}`
	seen := make(chan ingest.Request, 1)
	g := start(t, func(r ingest.Request) (ingest.Result, error) {
		r.Data = bytes.Clone(r.Data)
		seen <- r
		return accepting(r)
	})
	for _, coding := range append(allCodings, "GZIP", "x-gzip", "Br") {
		packed := strings.ToLower(strings.TrimPrefix(coding, "x-"))
		for name, c := range map[string]struct {
			path, body string
			headers    []string
		}{
			"plain":      {"/v1/events/orders.placed", order, nil},
			"binary":     {"/v1/events", order, []string{"ce-specversion: 1.0", "ce-id: 1", "ce-source: /s", "ce-type: orders.placed"}},
			"structured": {"/v1/events", structured, []string{structuredType}},
			"batch":      {"/v1/events", "[" + structured + "]", []string{batchType}},
		} {
			t.Run(name+", "+coding, func(t *testing.T) {
				a := g.do(t, http.MethodPost, c.path, compress(t, packed, c.body), append(c.headers, "Content-Encoding: "+coding)...)
				require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
				r := <-seen
				require.True(t, bytes.Equal([]byte(order), r.Data), "%s", r.Data)
			})
		}
	}
	a := g.do(t, http.MethodPost, "/v1/event-types/metrics.page-viewed/validate", compress(t, intake.Zstd, `{"path":"/a","viewedAt":"2026-11-23T09:15:30Z"}`), "Content-Encoding: zstd")
	require.Equal(t, http.StatusOK, a.StatusCode, string(a.body))
}

func TestCodingsThatAreNotTaken(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, withWebhooks(t))
	for name, c := range map[string]struct{ path, coding, accepts string }{
		"deflate":          {"/v1/events/orders.placed", "deflate", "gzip, zstd, br"},
		"several":          {"/v1/events/orders.placed", "gzip, gzip", "gzip, zstd, br"},
		"a dry run's":      {"/v1/event-types/orders.placed/validate", "compress", "gzip, zstd, br"},
		"CloudEvents'":     {"/v1/events", "compress", "gzip, zstd, br"},
		"a webhook's":      {"/v1/webhooks/stripe", "deflate", "identity"},
		"a webhook's gzip": {"/v1/webhooks/stripe", "gzip", "identity"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := g.do(t, http.MethodPost, c.path, "{}", "Content-Encoding: "+c.coding, structuredTypeFor(c.path))
			requireRefused(t, a, event.UnsupportedMediaType, "Content-Encoding")
			require.Equal(t, c.accepts, a.Header.Get("Accept-Encoding"))
		})
	}
	a := g.do(t, http.MethodPost, "/v1/events/orders.placed", "{}", "Content-Type: text/plain")
	require.Empty(t, a.Header.Get("Accept-Encoding"), "the coding was not the cause")
}

func structuredTypeFor(path string) string {
	if path == "/v1/events" {
		return structuredType
	}
	return "Content-Type: application/json"
}
