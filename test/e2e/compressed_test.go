//go:build integration

package e2e

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"eventgateway/test/services"
)

// TestCompressedRetriesAreReplays: an event is its decompressed body, in whatever coding
// it was sent, and so is its record.
func TestCompressedRetriesAreReplays(t *testing.T) {
	topic := newTopic(t)
	g := startGateway(t, options{schemas: schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": topic}})})
	c := newClient(t, g.addr, 1)
	order := newOrder(unique("packed"), 2)
	packed := map[string]func(io.Writer) (io.WriteCloser, error){
		"gzip": func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil },
		"zstd": func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) },
	}
	post := func(coding string) answer {
		p := order.post("orders.placed")
		if coding != "" {
			var b bytes.Buffer
			w, err := packed[coding](&b)
			require.NoError(t, err)
			_, err = w.Write(p.body)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			p.body, p.header = b.Bytes(), map[string]string{"Content-Encoding": coding}
		}
		a, err := c.send(p)
		require.NoError(t, err)
		require.Equal(t, http.StatusAccepted, a.status, "%s", a.body)
		return a
	}
	first := post("gzip")
	require.Empty(t, first.header.Get("Idempotent-Replayed"))
	for _, coding := range []string{"", "zstd", "gzip"} {
		again := post(coding)
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"), coding)
		require.Equal(t, first.body, again.body)
	}
	records := readTopic(t, services.Shared(t).Kafka, topic).records
	require.Len(t, records, 1)
	require.Equal(t, order.body, records[0].Value, "byte for byte")
}
