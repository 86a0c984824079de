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
	type item struct {
		ID, Source, Type, SpecVersion string
		Data                          json.RawMessage
	}
	types := []string{"ab.c", "ab.d", "ab.e"}
	for name, batch := range map[string]int{"single": 0, "batch of one": 1, "batch": 7} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(map[string]bool)
			for conn := range 3 {
				r := newRequest(Options{Address: "127.0.0.1:1", EventTypes: types, Batch: batch, Body: body, OrderIDAt: at, Run: 0xabcdef01}, conn)
				turn := conn
				for range 300 {
					req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.next())))
					require.NoError(t, err)
					sent, err := io.ReadAll(req.Body)
					require.NoError(t, err)
					items := []item{{ID: req.Header.Get("Idempotency-Key"), Data: sent}}
					if batch == 0 {
						require.Equal(t, "/v1/events/"+types[turn%len(types)], req.URL.Path)
						turn++
						require.Equal(t, "application/json", req.Header.Get("Content-Type"))
						require.Len(t, sent, len(body))
					} else {
						require.Equal(t, "/v1/events", req.URL.Path)
						require.Equal(t, "application/cloudevents-batch+json", req.Header.Get("Content-Type"))
						require.Empty(t, req.Header.Get("Idempotency-Key"))
						items = nil
						require.NoError(t, json.Unmarshal(sent, &items))
					}
					require.Len(t, items, int(r.events()))
					for _, i := range items {
						var order struct {
							OrderID string `json:"orderId"`
						}
						require.NoError(t, json.Unmarshal(i.Data, &order))
						require.Equal(t, i.ID, order.OrderID)
						require.Len(t, i.ID, idLen)
						require.False(t, seen[i.ID], "key %s came twice", i.ID)
						seen[i.ID] = true
						if batch > 0 {
							require.Equal(t, []string{"/bench", types[turn%len(types)], "1.0"}, []string{i.Source, i.Type, i.SpecVersion})
							turn++
						}
					}
				}
			}
		})
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
	r := newRequest(Options{Address: "127.0.0.1:1", EventTypes: []string{"x"}, Body: body, OrderIDAt: at, Run: 1}, 1)
	for b.Loop() {
		r.next()
	}
}
