package ingest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// delivery is a webhook's event with a dead-letter topic.
func delivery() Request {
	r := keyed()
	r.Client, r.Type = "stripe", "stripe.charge.succeeded"
	r.Identity = event.Identity{Kind: event.IdentityWebhook, Parts: []string{"evt_1"}}
	r.DeadLetter = &DeadLetter{Topic: "webhooks.stripe.dead", Headers: []event.Header{{Name: "http_user_agent", Value: "x"}}}
	return r
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	for _, kind := range []event.Kind{
		event.MalformedJSON, event.UnknownEventType, event.SchemaViolation, event.KeyMissing, event.EventTooLarge,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.check = func(string, string, []byte) (event.Checked, error) {
				return event.Checked{}, event.Refuse(kind, "does not fit")
			}
			req := delivery()
			result, record := accept(t, w, Config{}, req)
			require.Equal(t, "webhooks.stripe.dead", result.Receipt.Topic)
			require.Nil(t, record.Key)
			require.Equal(t, string(req.Data), string(record.Value))
			requireHeader(t, record, "gw_problem", string(kind))
			requireHeader(t, record, "gw_problem_detail", "does not fit")
			requireHeader(t, record, "http_user_agent", "x")
			requireHeader(t, record, "gw_claim", req.Identity.ClaimID("stripe").String())
			requireHeader(t, record, "ce_type", "stripe.charge.succeeded")
			require.Len(t, w.settled, 1, "written once, like any event")
		})
	}
}

func TestNoDeadLetter(t *testing.T) {
	t.Parallel()
	t.Run("valid", func(t *testing.T) {
		t.Parallel()
		_, record := accept(t, newWorld(t), Config{}, delivery())
		require.Equal(t, "orders", record.Topic)
		requireNoHeader(t, record, "http_user_agent")
		requireNoHeader(t, record, "gw_problem")
	})
	t.Run("what Kafka refuses is tried again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.publish = func(context.Context, event.Record) (event.Position, error) {
			return event.Position{}, event.Refuse(event.LogUnavailable, "no leader")
		}
		_, err := w.door(Config{}, nil).Accept(t.Context(), delivery())
		requireError(t, err, event.LogUnavailable, event.NotWritten)
	})
	t.Run("a failure of the gateway", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.check = func(string, string, []byte) (event.Checked, error) {
			return event.Checked{}, event.Refuse(event.Internal, "panic")
		}
		_, err := w.door(Config{}, nil).Accept(t.Context(), delivery())
		requireError(t, err, event.Internal, event.NotWritten)
	})
	t.Run("without a topic for it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.check = func(string, string, []byte) (event.Checked, error) {
			return event.Checked{}, event.Refuse(event.UnknownEventType, "no")
		}
		req := delivery()
		req.DeadLetter = nil
		_, err := w.door(Config{}, nil).Accept(t.Context(), req)
		requireError(t, err, event.UnknownEventType, event.NotWritten)
	})
}

// A provider's redelivery may count its attempts in the body.
func TestRedeliveriesMayDiffer(t *testing.T) {
	t.Parallel()
	first, second := delivery(), delivery()
	second.Data = append(second.Data, ' ')
	second.Type = "renamed"
	require.Equal(t, fingerprint(&first), fingerprint(&second))
	other := keyed()
	require.NotEqual(t, fingerprint(&other), fingerprint(&Request{Data: []byte("x")}))
}

func TestKeyRule(t *testing.T) {
	t.Parallel()
	missing := func(string, string, []byte) (event.Checked, error) {
		return event.Checked{Definition: definition()}, event.Refuse(event.KeyMissing, "no")
	}
	other := "ch_1"
	tests := []struct {
		name  string
		check func(string, string, []byte) (event.Checked, error)
		rule  KeyRule
		want  *string
	}{
		{"instead of the type's", nil, KeyRule{Pointers: []string{"/data/object/id"}}, &other},
		{"where the type's is missing", missing, KeyRule{Pointers: []string{"/data/object/id"}}, &other},
		{"no entity", missing, KeyRule{}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.check = tt.check
			w.key = func(pointers []string, _ []byte) (*string, error) {
				require.Equal(t, tt.rule.Pointers, pointers)
				return tt.want, nil
			}
			req := delivery()
			req.Key = &tt.rule
			result, record := accept(t, w, Config{}, req)
			require.Equal(t, tt.want, result.Receipt.Key)
			require.Equal(t, tt.want == nil, record.Key == nil)
		})
	}
}

func TestStructuredRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(string, string, []byte) (event.Checked, error) {
		c := checked()
		c.Definition.Structured = true
		return c, nil
	}
	req := keyed()
	_, record := accept(t, w, Config{}, req)
	require.Contains(t, string(record.Value), `{"specversion":"1.0","id":"`)
	require.Contains(t, string(record.Value), `"data":`+string(req.Data)+"}")
	requireHeader(t, record, "content-type", "application/cloudevents+json; charset=UTF-8")
	fp := event.NewFingerprint(req.Type, req.Version, req.MediaType, req.Data)
	require.Equal(t, fp, w.claims[0].Fingerprint, "of what was sent, not of what is written")
}
