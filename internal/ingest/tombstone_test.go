package ingest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func tombstone(key string) Request {
	r := keyed()
	r.Data, r.MediaType, r.Tombstone = nil, "", &key
	return r
}

// A tombstone is a record without a value, content type and schema, and otherwise an event
// like any other.
func TestTombstones(t *testing.T) {
	t.Parallel()
	for name, structured := range map[string]bool{"binary": false, "structured": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.tombstone = func(key string) (event.Checked, error) {
				found := checked()
				def := *found.Definition
				def.Structured, def.SchemaID = structured, "https://example.com/schema"
				found.Definition, found.Key = &def, &key
				return found, nil
			}
			req := tombstone("o-7")
			req.Headers = []event.Header{{Name: "tenant-id", Value: "t1"}}
			result, record := accept(t, w, Config{}, req)
			require.Nil(t, record.Value)
			require.Equal(t, "o-7", string(record.Key))
			require.Equal(t, "o-7", *result.Receipt.Key)
			require.NotContains(t, w.calls, "check", "no data are validated")
			for _, absent := range []string{"content-type", "ce_dataschema"} {
				requireNoHeader(t, record, absent)
			}
			requireHeader(t, record, "ce_type", req.Type)
			requireHeader(t, record, "gw_claim", req.Identity.ClaimID(req.Client).String())
			requireHeader(t, record, "tenant-id", "t1")
			require.Len(t, w.settled, 1)
		})
	}
}

// A key that was used for a tombstone is reused by another entity's, and by an event.
func TestFingerprintsOfTombstones(t *testing.T) {
	t.Parallel()
	one := tombstone("o-1")
	again, other, empty := tombstone("o-1"), tombstone("o-2"), keyed()
	empty.Data = []byte("o-1")
	require.Equal(t, fingerprint(&one), fingerprint(&again))
	require.NotEqual(t, fingerprint(&one), fingerprint(&other))
	require.NotEqual(t, fingerprint(&one), fingerprint(&empty))
}

// A retry of a written tombstone gets its receipt, also if its type has none any more.
func TestTombstonesThatAreRefused(t *testing.T) {
	t.Parallel()
	for kind, looks := range map[event.Kind]bool{event.MethodNotAllowed: true, event.KeyMissing: true, event.MalformedRequest: false} {
		w := newWorld(t)
		w.tombstone = func(string) (event.Checked, error) { return event.Checked{}, event.Refuse(kind, "no") }
		_, err := w.door(Config{}, nil).Accept(t.Context(), tombstone("o-1"))
		requireError(t, err, kind, event.NotWritten)
		require.Equal(t, looks, len(w.calls) > 1, "%s: %v", kind, w.calls)
	}
}

func TestRecordHeadersOfTheRequest(t *testing.T) {
	t.Parallel()
	req := keyed()
	req.Headers = []event.Header{{Name: "tenant-id", Value: "t1"}, {Name: "empty"}}
	_, record := accept(t, newWorld(t), Config{}, req)
	requireHeader(t, record, "tenant-id", "t1")
	requireHeader(t, record, "empty", "")
	require.Equal(t, req.Headers, record.Headers[len(record.Headers)-2:], "after the gateway's own")
}
