package load

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

const schema = `{"examples":[{"customer":"c-1","orderId":"o-1","big":12345678901234567890},{"orderId":"second"}]}`

func TestBody(t *testing.T) {
	t.Parallel()
	body, at, err := Body([]byte(schema))
	require.NoError(t, err)
	require.JSONEq(t, `{"customer":"c-1","orderId":"000000000000000000000000","big":12345678901234567890}`, string(body))
	require.Equal(t, "000000000000000000000000", string(body[at:at+idLen]))
	require.Equal(t, byte('"'), body[at-1])

	for name, bad := range map[string]string{
		"no JSON":     `{`,
		"no examples": `{}`,
		"no order id": `{"examples":[{"id":"x"}]}`,
		"ambiguous":   `{"examples":[{"orderId":"x","a":"000000000000000000000000"}]}`,
	} {
		_, _, err := Body([]byte(bad))
		require.Error(t, err, name)
	}
}

func TestBodyOfTheSampleType(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../schemas/orders.placed/v1.json")
	require.NoError(t, err)
	body, _, err := Body(text)
	require.NoError(t, err)
	require.InDelta(t, 200, len(body), 100, "the bench speaks of orders of about 200 bytes: %s", body)
}

func TestRequestsAreWellFormedAndDistinct(t *testing.T) {
	t.Parallel()
	body, at, err := Body([]byte(schema))
	require.NoError(t, err)
	seen := make(map[string]bool)
	for conn := range 3 {
		r := newRequest("127.0.0.1:1", "/v1/events/x", body, at, 0xabcdef01, conn)
		for range 300 {
			req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.next())))
			require.NoError(t, err)
			require.Equal(t, "/v1/events/x", req.URL.Path)
			require.Equal(t, "application/json", req.Header.Get("Content-Type"))
			sent, err := io.ReadAll(req.Body)
			require.NoError(t, err)
			require.Len(t, sent, len(body))
			var order struct {
				OrderID string `json:"orderId"`
			}
			require.NoError(t, json.Unmarshal(sent, &order))
			key := req.Header.Get("Idempotency-Key")
			require.Equal(t, key, order.OrderID)
			require.Len(t, key, idLen)
			require.False(t, seen[key], "key %s came twice", key)
			seen[key] = true
		}
	}
}

func TestPutHex(t *testing.T) {
	t.Parallel()
	dst := []byte("....")
	putHex(dst, 0x1af)
	require.Equal(t, "01af", string(dst))
	putHex(dst, 0xf12345)
	require.Equal(t, "2345", string(dst))
}

func BenchmarkNext(b *testing.B) {
	body, at, err := Body([]byte(schema))
	require.NoError(b, err)
	r := newRequest("127.0.0.1:1", "/v1/events/x", body, at, 1, 1)
	for b.Loop() {
		r.next()
	}
}
