package delivery

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/cloudevent"
	"eventgateway/internal/delivery/endpoint"
	"eventgateway/internal/strictjson"
)

func gatewayRecord(value string) *kgo.Record {
	r := &kgo.Record{Topic: "orders", Partition: 3, Offset: 42, Key: []byte("o-1"), Value: []byte(value)}
	for _, h := range [][2]string{
		{"ce_specversion", "1.0"},
		{"ce_id", "a.b"},
		{"ce_type", "orders.placed"},
		{"ce_source", "/clients/web"},
		{"ce_time", "2026-01-01T00:00:00Z"},
		{"content-type", "application/json"},
		{"ce_subject", "café \"x\" 100%"},
		{"ce_tenant", "7"},
		{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		{"gw_claim", "secret"},
	} {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
	}
	return r
}

func TestStructuredRequestsAreCloudEvents(t *testing.T) {
	t.Parallel()
	e := request(gatewayRecord(`{"n": 1.10, "n2":12345678901234567890}`), false, 1)
	parsed, err := cloudevent.Parse(e.Body)
	require.NoError(t, err)
	require.Equal(t, "orders.placed", parsed.Type)
	require.Contains(t, string(e.Body), `"data":{"n": 1.10, "n2":12345678901234567890}}`, "data are as they were")
	require.Contains(t, string(e.Body), `"partitionkey":"o-1","sequence":"00000000000000000042"`)
	require.NotContains(t, string(e.Body), "secret")
	require.Equal(t, "application/cloudevents+json; charset=UTF-8", e.ContentType)
	require.Equal(t, []endpoint.Header{{Name: "traceparent", Value: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}, e.Headers)
}

func TestBinaryRequests(t *testing.T) {
	t.Parallel()
	e := request(gatewayRecord(`{"n":1}`), true, 1)
	require.Equal(t, `{"n":1}`, string(e.Body))
	require.Equal(t, "application/json", e.ContentType)
	headers := map[string]string{}
	for _, h := range e.Headers {
		headers[h.Name] = h.Value
	}
	require.Equal(t, "caf%C3%A9%20%22x%22%20100%25", headers["ce-subject"])
	require.Equal(t, "a.b", headers["ce-id"])
	require.Equal(t, "1.0", headers["ce-specversion"])
}

func TestWholeCloudEventsPassAsTheyAre(t *testing.T) {
	t.Parallel()
	r := gatewayRecord(`{"specversion":"1.0","id":"1"}`)
	for i := range r.Headers {
		if r.Headers[i].Key == "content-type" {
			r.Headers[i].Value = []byte("application/cloudevents+json; charset=UTF-8")
		}
	}
	for _, binaryMode := range []bool{false, true} {
		require.Equal(t, r.Value, request(r, binaryMode, 1).Body)
	}
}

func TestWebhookIDs(t *testing.T) {
	t.Parallel()
	first := request(gatewayRecord(`{}`), false, 1).ID
	moved := gatewayRecord(`{"other":1}`)
	moved.Topic, moved.Offset = "orders.retry", 7
	require.Equal(t, first, request(moved, true, 9).ID, "the same event at another place")
	require.NotContains(t, first, ".")
	seen := map[string]bool{first: true}
	for _, change := range [][2]string{{"ce_id", "b"}, {"ce_source", "/clients/we"}} {
		r := gatewayRecord(`{}`)
		for i := range r.Headers {
			if r.Headers[i].Key == change[0] {
				r.Headers[i].Value = []byte(change[1])
			}
		}
		id := request(r, false, 1).ID
		require.False(t, seen[id])
		seen[id] = true
	}
	// The parts do not run together.
	a := message{attributes: []attribute{{"id", "ab"}, {"source", "c"}}}
	b := message{attributes: []attribute{{"id", "a"}, {"source", "bc"}}}
	require.NotEqual(t, a.webhookID(), b.webhookID())
}

func TestFilter(t *testing.T) {
	t.Parallel()
	pointer, err := strictjson.ParsePointer("/a/b")
	require.NoError(t, err)
	want := func(value string) bool {
		c := Config{Filter: Filter{Data: []Match{{pointer, "1"}}}}
		return c.wants(gatewayRecord(value))
	}
	require.True(t, want(`{"a":{"b":1}}`))
	require.True(t, want(`{"a":{"b":"1"}}`))
	require.False(t, want(`{"a":{"b":2}}`))
	require.False(t, want(`{"a":1}`))
	require.False(t, want(strings.Repeat("[", 1000)))
	c := Config{Filter: Filter{Types: []string{"orders.*"}, Keys: []string{"o-*"}}}
	require.True(t, c.wants(gatewayRecord(`{}`)))
	r := gatewayRecord(`{}`)
	r.Key = nil
	require.False(t, c.wants(r))
}
