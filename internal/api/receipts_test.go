package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestReceiptOfAnIdentity(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query string
		want  event.Identity
	}{
		"key":                  {"idempotency_key=k-1", event.Identity{Kind: event.IdentityKey, Parts: []string{"k-1"}}},
		"quoted key":           {"idempotency_key=%22k-1%22", event.Identity{Kind: event.IdentityKey, Parts: []string{"k-1"}}},
		"key with odd letters": {"idempotency_key=a%26b+c%2B", event.Identity{Kind: event.IdentityKey, Parts: []string{"a&b c+"}}},
		"CloudEvent":           {"source=%2Fshop&id=e-1", event.Identity{Kind: event.IdentityCloudEvent, Parts: []string{"/shop", "e-1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			a := start(t, d).do(t, http.MethodGet, "/v1/receipts?"+c.query, "")
			require.Equal(t, http.StatusOK, a.StatusCode, string(a.body))
			require.JSONEq(t, `{"id":"id-1","type":"","version":"v1","topic":"","partition":3,"offset":48211,"key":"o-1","time":"2026-11-23T09:15:30Z"}`, string(a.body))
			asked := <-seen
			require.Equal(t, c.want, asked.Identity)
			require.Equal(t, "anonymous", asked.Client)
		})
	}
}

func TestReceiptOfNoIdentity(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	for query, inDetail := range map[string]string{
		"":                           "?idempotency_key=",
		"idempotency_key=":           "?idempotency_key=",
		"idempotency_key=%00":        "ill-formed",
		"idempotency_key=a&source=b": "?idempotency_key=",
		"source=b":                   "?source=",
		"id=b":                       "?source=",
		"id=b&id=c&source=d":         "id is there 2 times",
		"idempotency_key=" + strings.Repeat("k", 256): "1 to 255",
	} {
		requireRefused(t, g.do(t, http.MethodGet, "/v1/receipts?"+query, ""), event.MalformedRequest, inDetail)
	}
}
