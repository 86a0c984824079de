package ingest

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"eventgateway/internal/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func accept(t *testing.T, w *world, cfg Config, req Request) (Result, event.Record) {
	t.Helper()
	result, err := w.door(cfg, nil).Accept(t.Context(), req)
	require.NoError(t, err)
	require.NotEmpty(t, w.records)
	return result, w.records[len(w.records)-1]
}

func TestDataIsPublishedToTheByte(t *testing.T) {
	t.Parallel()
	for name, req := range map[string]Request{"keyed": keyed(), "unkeyed": unkeyed()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var seen []byte
			w.check = func(eventType, version string, data []byte) (event.Checked, error) {
				require.Equal(t, []string{req.Type, req.Version}, []string{eventType, version})
				seen = data
				return checked(), nil
			}
			before := string(req.Data)
			_, record := accept(t, w, Config{}, req)
			require.Equal(t, before, string(record.Value))
			require.Same(t, &seen[0], &record.Value[0], "what was validated is what is published")
			require.Equal(t, "o-1", string(record.Key))
			require.Equal(t, testStart, record.Timestamp, "the gateway's clock")
		})
	}
}

func TestUnkeyedEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := map[string]bool{}
	for range 3 {
		result, record := accept(t, w, Config{}, unkeyed())
		require.False(t, result.Replayed)
		requireNoHeader(t, record, event.HeaderClaim)
		requireNoHeader(t, record, event.HeaderFingerprint)
		requireHeader(t, record, event.HeaderID, result.Receipt.ID)
		id, err := uuid.Parse(result.Receipt.ID)
		require.NoError(t, err)
		require.Equal(t, uuid.Version(7), id.Version())
		ids[result.Receipt.ID] = true
	}
	require.Len(t, ids, 3)
	require.Empty(t, w.claims, "nothing is asked of the store")
	require.Len(t, map[uint64]bool{w.spreads[0]: true, w.spreads[1]: true, w.spreads[2]: true}, 3, "any partition, each time")
}

// Consumers can only be idempotent if every attempt carries the same id, the
// attempts without a store included.
func TestKeyedEventsHaveOneIDOnEveryAttempt(t *testing.T) {
	t.Parallel()
	req := keyed()
	claim := req.Identity.ClaimID(req.Client)
	b := append([]byte(nil), claim[:16]...)
	b[6], b[8] = b[6]%16+0x80, b[8]%64+0x80 // RFC 9562 §5.8: version 8, variant 10
	h := hex.EncodeToString(b)
	want := strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")

	tests := []struct {
		name  string
		given func(*world)
		claim bool
	}{
		{"first attempt", func(*world) {}, true},
		{"take-over", storeFinds(event.ClaimResult{State: event.Abandoned}), true},
		{"without the store", func(w *world) { storeIsAway(w); typePolicy(event.PublishOnStoreFailure)(w) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.given(w)
			result, record := accept(t, w, Config{}, req)
			require.Equal(t, want, result.Receipt.ID)
			requireHeader(t, record, event.HeaderID, want)
			if !tt.claim {
				requireNoHeader(t, record, event.HeaderClaim)
				requireNoHeader(t, record, event.HeaderFingerprint)
				return
			}
			requireHeader(t, record, event.HeaderClaim, claim.String())
			fp := event.NewFingerprint(req.Type, req.Version, req.MediaType, req.Data)
			requireHeader(t, record, event.HeaderFingerprint, hex.EncodeToString(fp[:]))
		})
	}

	other := keyed()
	other.Client = "mobile"
	result, _ := accept(t, newWorld(t), Config{}, other)
	require.NotEqual(t, want, result.Receipt.ID, "a key belongs to its client")
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	cloudEvent := keyed()
	cloudEvent.Identity = event.Identity{Kind: event.IdentityCloudEvent, Parts: []string{"/shop", "e-1"}}
	cloudEvent.Attributes = event.Attributes{
		ID: "e-1", Source: "/shop", Time: "2020-02-02T02:02:02+02:00", Subject: "o-1",
		Extensions: []event.Extension{{Name: "tenant", Value: "acme"}}, TraceParent: "00-ab-cd-01", TraceState: "x=y",
	}
	cloudEvent.ContentType = "application/json; charset=utf-8"
	odd := unkeyed()
	odd.Client = "shop floor/1"
	tests := []struct {
		name string
		req  Request
		want map[string]string // "" means that the header is not there
	}{
		{"defaults", unkeyed(), map[string]string{
			"ce_specversion": "1.0", "ce_type": "orders.placed", "ce_source": "/clients/web", "gw_version": "v2",
			"ce_time": "2026-01-31T11:00:00.123456789Z", "content-type": "application/json",
			"ce_subject": "", "traceparent": "", "tracestate": "", "ce_dataschema": "",
		}},
		{"a client's name is escaped", odd, map[string]string{"ce_source": "/clients/shop%20floor%2F1"}},
		{"as sent", cloudEvent, map[string]string{
			"ce_id": "e-1", "ce_source": "/shop", "ce_time": "2020-02-02T02:02:02+02:00", "ce_subject": "o-1",
			"ce_tenant": "acme", "content-type": "application/json; charset=utf-8", "traceparent": "00-ab-cd-01", "tracestate": "x=y",
			"gw_claim": cloudEvent.Identity.ClaimID("web").String(),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			result, record := accept(t, newWorld(t), Config{}, tt.req)
			for name, want := range tt.want {
				if want == "" {
					requireNoHeader(t, record, name)
					continue
				}
				requireHeader(t, record, name, want)
			}
			requireHeader(t, record, event.HeaderTime, result.Receipt.Time)
		})
	}
}

func TestDataSchema(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, publicURL, schemaID, want string
	}{
		{"nothing known", "", "", ""},
		{"public URL", "https://gw.example", "", "https://gw.example/v1/event-types/orders.placed/schema?version=v2"},
		{"absolute $id", "", "https://schemas.example/orders", "https://schemas.example/orders"},
		{"absolute $id before public URL", "https://gw.example", "https://schemas.example/orders", "https://schemas.example/orders"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.check = func(string, string, []byte) (event.Checked, error) {
				c := checked()
				c.Definition.SchemaID = tt.schemaID
				return c, nil
			}
			_, record := accept(t, w, Config{PublicURL: tt.publicURL}, unkeyed())
			if tt.want == "" {
				requireNoHeader(t, record, event.HeaderDataSchema)
				return
			}
			requireHeader(t, record, event.HeaderDataSchema, tt.want)
		})
	}
}

func TestPlacement(t *testing.T) {
	t.Parallel()
	withoutEntity := func(w *world) {
		w.check = func(string, string, []byte) (event.Checked, error) {
			c := checked()
			c.Key = nil
			return c, nil
		}
	}
	t.Run("an entity's key decides", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.place = func(topic string, key []byte, _ uint64) (event.Placement, error) {
			require.Equal(t, "orders", topic)
			require.Equal(t, "o-1", string(key))
			return event.Placement{Topic: topic, Partition: 9}, nil
		}
		result, record := accept(t, w, Config{}, keyed())
		require.Equal(t, int32(9), record.Partition)
		require.Equal(t, int32(9), result.Receipt.Partition)
	})
	t.Run("without entity the claim decides, the same on every attempt", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		withoutEntity(w)
		req := keyed()
		for range 2 {
			result, record := accept(t, w, Config{}, req)
			require.Nil(t, record.Key)
			require.Nil(t, result.Receipt.Key)
		}
		id := req.Identity.ClaimID(req.Client)
		require.Equal(t, []uint64{binary.BigEndian.Uint64(id[:]), binary.BigEndian.Uint64(id[:])}, w.spreads)
	})
	t.Run("without entity and store, where the claim would be", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		withoutEntity(w)
		storeIsAway(w)
		_, _ = accept(t, w, Config{OnStoreFailure: event.PublishOnStoreFailure}, keyed())
		require.Len(t, w.spreads, 1)
	})
	t.Run("unkeyed and topic missing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		topicIsMissing(w)
		_, err := w.door(Config{}, nil).Accept(t.Context(), unkeyed())
		_ = requireError(t, err, event.LogUnavailable, event.NotWritten)
		require.Equal(t, []string{"check"}, w.calls)
	})
}

func TestUnkeyedRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		given   func(*world)
		calls   []string
		kind    event.Kind
		outcome event.Outcome
	}{
		{"invalid: no look without a key", refusesData(invalid), []string{"check"}, event.SchemaViolation, event.NotWritten},
		{"key required", func(w *world) {
			w.check = func(string, string, []byte) (event.Checked, error) {
				c := checked()
				c.Definition.IdempotencyRequired = true
				return c, nil
			}
		}, []string{"check"}, event.IdempotencyKeyMissing, event.NotWritten},
		{"not written", publishFails(notWritten), []string{"check", "publish"}, event.LogUnavailable, event.NotWritten},
		{"unknown", publishFails(unknown), []string{"check", "publish"}, event.OutcomeUnknown, event.Unknown},
		{"catalog fails", refusesData(errStore), []string{"check"}, event.Internal, event.Unknown},
		{"log fails", publishFails(errStore), []string{"check", "publish"}, event.Internal, event.Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.given(w)
			result, err := w.door(Config{}, nil).Accept(t.Context(), unkeyed())
			e := requireError(t, err, tt.kind, tt.outcome)
			if tt.kind == event.Internal {
				require.ErrorIs(t, e, errStore)
				require.NotContains(t, e.Detail, errStore.Error(), "the cause is for the log only")
			}
			require.Zero(t, result)
			require.Equal(t, tt.calls, w.calls)
		})
	}
}
