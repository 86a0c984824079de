package event

import (
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func definition() *Definition {
	return &Definition{Type: "orders.placed", Version: "v2", Topic: "orders"}
}

func TestNewHeaders(t *testing.T) {
	t.Parallel()
	claim := &Claim{ID: ClaimID{0xab, 1}, Fingerprint: Fingerprint{0xcd, 2}}
	minimal := Attributes{ID: "e-1", Source: "/clients/web", Time: "2026-01-31T12:00:00Z"}
	full := Attributes{
		ID: "e-1", Source: "/shop", Time: "2026-01-31T12:00:00+01:00", Subject: "o-1",
		Extensions: []Extension{{Name: "tenant", Value: "acme"}, {Name: "version", Value: "9", Literal: true}}, TraceParent: "00-aa-bb-01", TraceState: "x=y",
	}
	tests := []struct {
		name       string
		attributes Attributes
		dataSchema string
		claim      *Claim
		want       []Header
	}{
		{"required only", minimal, "", nil, []Header{
			{"ce_specversion", "1.0"},
			{"ce_id", "e-1"},
			{"ce_type", "orders.placed"},
			{"ce_source", "/clients/web"},
			{"ce_time", "2026-01-31T12:00:00Z"},
			{"content-type", "application/json"},
			{"gw_version", "v2"},
		}},
		{"everything", full, "https://gw/schema", claim, []Header{
			{"ce_specversion", "1.0"},
			{"ce_id", "e-1"},
			{"ce_type", "orders.placed"},
			{"ce_source", "/shop"},
			{"ce_time", "2026-01-31T12:00:00+01:00"},
			{"content-type", "application/json"},
			{"gw_version", "v2"},
			{"ce_dataschema", "https://gw/schema"},
			{"ce_subject", "o-1"},
			{"traceparent", "00-aa-bb-01"},
			{"tracestate", "x=y"},
			{"ce_tenant", "acme"},
			{"ce_version", "9"},
			{"gw_claim", hex.EncodeToString(claim.ID[:])},
			{"gw_fingerprint", hex.EncodeToString(claim.Fingerprint[:])},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := NewHeaders(definition(), tt.attributes, "application/json", tt.dataSchema, tt.claim)
			require.ElementsMatch(t, tt.want, got)
		})
	}
}

// A recovery read must make the same receipt, so it may depend neither on what a consumer
// does not see nor on the order of headers.
func TestReceiptOfIsAFunctionOfTheRecord(t *testing.T) {
	t.Parallel()
	key := "o-1"
	tests := []struct {
		name string
		key  []byte
		want Receipt
		json string
	}{
		{
			"with an entity", []byte(key),
			Receipt{ID: "e-1", Type: "orders.placed", Version: "v2", Topic: "orders", Partition: 3, Offset: 42, Key: &key, Time: "2026-01-31T12:00:00Z"},
			`{"id":"e-1","type":"orders.placed","version":"v2","topic":"orders","partition":3,"offset":42,"key":"o-1","time":"2026-01-31T12:00:00Z"}`,
		},
		{
			"without an entity", nil,
			Receipt{ID: "e-1", Type: "orders.placed", Version: "v2", Topic: "orders", Partition: 3, Offset: 42, Time: "2026-01-31T12:00:00Z"},
			`{"id":"e-1","type":"orders.placed","version":"v2","topic":"orders","partition":3,"offset":42,"key":null,"time":"2026-01-31T12:00:00Z"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			headers := NewHeaders(definition(), Attributes{
				ID: "e-1", Source: "/shop", Time: "2026-01-31T12:00:00Z", Extensions: []Extension{{Name: "version", Value: "9"}, {Name: "key", Value: "x"}},
			}, "application/json", "", &Claim{})
			produced := Record{
				Placement: Placement{Topic: "orders", Partition: 3, Owner: "gw-1"}, Key: tt.key, Value: []byte("{}"),
				Headers: headers, Timestamp: time.Unix(1, 0),
			}
			at := Position{Partition: 3, Offset: 42}
			first := ReceiptOf(produced, at)
			require.Equal(t, tt.want, first)

			found := Record{Placement: Placement{Topic: "orders"}, Key: tt.key}
			for i := range headers {
				found.Headers = append(found.Headers, headers[len(headers)-1-i])
			}
			require.Equal(t, first, ReceiptOf(found, at), "as read back from the log")

			text, err := json.Marshal(first)
			require.NoError(t, err)
			require.JSONEq(t, tt.json, string(text))
			var again Receipt
			require.NoError(t, json.Unmarshal(text, &again))
			require.Equal(t, first, again, "as read back from Redis")
		})
	}
}

func TestReceiptKeepsAnEmptyKey(t *testing.T) {
	t.Parallel()
	receipt := ReceiptOf(Record{Key: []byte{}}, Position{})
	require.NotNil(t, receipt.Key, "an empty key is a key")
	require.Empty(t, *receipt.Key)
}
