package ingest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestNewPlan(t *testing.T) {
	t.Parallel()
	key := "o-1"
	required := func(w *world) {
		w.check = func(string, string, []byte) (event.Checked, error) {
			c := checked()
			c.Definition.IdempotencyRequired = true
			return c, nil
		}
	}
	refused := func(kind event.Kind) func(*world) {
		return func(w *world) {
			w.check = func(string, string, []byte) (event.Checked, error) { return checked(), event.Refuse(kind, "no") }
		}
	}
	with := func(r Request, change func(*Request)) Request {
		change(&r)
		return r
	}
	strict := with(delivery(), func(r *Request) { r.DeadLetter = nil })
	tests := []struct {
		name  string
		given func(*world)
		req   Request
		// The plan, without the claim.
		topic      string
		key        *string
		deadLetter bool
		kind       event.Kind
	}{
		{"valid", nil, keyed(), "orders", &key, false, ""},
		{"valid, without identity", nil, unkeyed(), "orders", &key, false, ""},
		{"identity required", required, unkeyed(), "", nil, false, event.IdempotencyKeyMissing},
		{"identity required and there", required, keyed(), "orders", &key, false, ""},
		{"invalid", refused(event.SchemaViolation), keyed(), "", nil, false, event.SchemaViolation},
		{"invalid delivery", refused(event.SchemaViolation), delivery(), "webhooks.stripe.dead", nil, true, event.SchemaViolation},
		{"invalid delivery, strict", refused(event.SchemaViolation), strict, "", nil, false, event.SchemaViolation},
		{"failed check of a delivery", refused(event.Internal), delivery(), "", nil, false, event.Internal},
		{"key of the request", nil, with(keyed(), func(r *Request) { r.Key = &KeyRule{} }), "orders", nil, false, ""},
		{"key of the request, where the type's is missing", refused(event.KeyMissing), with(keyed(), func(r *Request) { r.Key = &KeyRule{} }), "orders", nil, false, ""},
		{
			"the request's fault comes first", refused(event.SchemaViolation),
			with(keyed(), func(r *Request) { r.Fault = event.Refuse(event.MalformedRequest, "no") }), "", nil, false, event.MalformedRequest,
		},
		{"an error of no kind", refusesData(errStore), keyed(), "", nil, false, event.Internal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tt.given != nil {
				tt.given(w)
			}
			p := NewPlan(fakeCatalog{w}, &tt.req)
			require.Equal(t, tt.topic, p.Topic)
			require.Equal(t, tt.key, p.Key)
			require.Equal(t, tt.deadLetter, p.DeadLetter)
			require.Equal(t, !tt.req.Identity.IsZero(), p.ClaimID == tt.req.Identity.ClaimID(tt.req.Client))
			require.Equal(t, "orders.placed", p.Definition.Type)
			if tt.kind == "" {
				require.Nil(t, p.Problem)
				return
			}
			require.Equal(t, tt.kind, p.Problem.Kind)
		})
	}
}

// An event that is refused keeps its place behind the others of its entity.
func TestAPlanRemembersTheEntityOfARefusedEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(string, string, []byte) (event.Checked, error) { return checked(), invalid }
	req := keyed()
	p := NewPlan(fakeCatalog{w}, &req)
	require.Nil(t, p.Key)
	require.Equal(t, "o-1", *p.entity)
}
