package app

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/config"
	"eventgateway/internal/deadletter"
	"eventgateway/internal/event"
)

func TestDoorRequest(t *testing.T) {
	t.Parallel()
	cfg := config.Defaults()
	cfg.Webhooks = []config.Webhook{{Name: "github", OnInvalid: config.OnInvalidDeadLetter, EventType: "github.{type}", Key: config.EntityKey{Given: true, Parts: [][]string{{"/repository/id"}}}}}
	written := time.UnixMilli(1_700_000_000_000)
	record := func(value string, headers ...string) *deadletter.Record {
		r := &deadletter.Record{Topic: "dlt", Partition: 1, Offset: 9, Timestamp: written, Key: []byte("k")}
		if value != "" {
			r.Value = []byte(value)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: headers[i], Value: []byte(headers[i+1])})
		}
		return r
	}
	describe := func(r *deadletter.Record) (*deadletter.Record, *deadletter.Letter) {
		l := deadletter.Describe(r)
		return r, &l
	}
	identity := event.Identity{Kind: event.IdentityKey, Parts: []string{"dead letter", "dlt/1/9", "1700000000000"}}
	replayed := []event.Header{{Name: "gw_dead_rounds", Value: "1"}, {Name: "gw_replay_of", Value: "dlt/1/9"}}

	r, l := describe(record(`{"a":1}`, "ce_specversion", "1.0", "ce_id", "7", "ce_source", "/x", "ce_type", "orders.placed", "ce_time", "2026-11-30T09:00:00Z", "ce_subject", "s", "ce_tenant", "t",
		"content-type", "application/Vnd.x+json; charset=utf-8", "gw_claim", "c", "gw_version", "2", "traceparent", "tp", "other", "kept", "gw_dead_subscription", "s", "gw_dead_rounds", "1"))
	req := doorRequest(cfg, r, l, "", time.Time{})
	require.Equal(t, "orders.placed", req.Type)
	require.Empty(t, req.Version, "today's schemas")
	require.Equal(t, "application/vnd.x+json", req.MediaType)
	require.Equal(t, event.Attributes{ID: "7", Source: "/x", Time: "2026-11-30T09:00:00Z", Subject: "s", Extensions: []event.Extension{{Name: "tenant", Value: "t"}}, TraceParent: "tp"}, req.Attributes)
	require.Equal(t, append([]event.Header{{Name: "other", Value: "kept"}}, replayed...), req.Headers)
	require.Equal(t, identity, req.Identity)
	require.Equal(t, "push.noted", doorRequest(cfg, r, l, "push.noted", time.Time{}).Type)
	require.NotEqual(t, identity, doorRequest(cfg, r, l, "", written).Identity, "a replay of what was replayed is another event")

	r, l = describe(record(`{"repository":{"id":5}}`, "ce_type", "github.push", "ce_source", "/webhooks/github", "gw_problem", "unknown-event-type", "http_user-agent", "x"))
	req = doorRequest(cfg, r, l, "", time.Time{})
	require.Equal(t, "github", req.Client)
	require.Equal(t, []string{"/repository/id"}, req.Key.Pointers, "as the webhook says")
	require.Nil(t, req.DeadLetter, "it is refused, and no dead letter again")
	require.Equal(t, identity, req.Identity)
	require.Equal(t, replayed, req.Headers)
	require.Equal(t, "application/json", req.MediaType)

	r, l = describe(record(`{"specversion":"1.0","id":"7","data":{"a":1}}`, "content-type", "application/cloudevents+json; charset=UTF-8"))
	req = doorRequest(cfg, r, l, "t", time.Time{})
	require.JSONEq(t, `{"a":1}`, string(req.Data))
	require.Equal(t, "application/json", req.MediaType)

	r, l = describe(record("", "ce_type", "orders.placed"))
	req = doorRequest(cfg, r, l, "", time.Time{})
	require.Equal(t, "k", *req.Tombstone)
}
