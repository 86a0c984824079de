package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// prefixed is the hash input as section 6 of the design writes it down, composed
// by hand: each part after its length in four bytes, big-endian.
func prefixed(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		n := len(p)
		b = append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		b = append(b, p...)
	}
	return b
}

func TestClaimIDVectors(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 300) // its length needs more than one byte
	tests := []struct {
		name     string
		identity Identity
		client   string
		want     []byte
	}{
		{
			"key",
			Identity{Kind: IdentityKey, Parts: []string{"order-1"}},
			"web",
			[]byte("\x00\x00\x00\x03key\x00\x00\x00\x03web\x00\x00\x00\x07order-1\x00\x00\x00\x00"),
		},
		{"long key", Identity{Kind: IdentityKey, Parts: []string{long}}, "web", prefixed("key", "web", long, "")},
		{"no client", Identity{Kind: IdentityKey, Parts: []string{"a"}}, "", prefixed("key", "", "a", "")},
		{"text beyond ASCII", Identity{Kind: IdentityKey, Parts: []string{"ключ"}}, "web", prefixed("key", "web", "ключ", "")},
		{
			"cloudevent",
			Identity{Kind: IdentityCloudEvent, Parts: []string{"/shop", "1"}},
			"web",
			prefixed("cloudevent", "web", "/shop", "1", ""),
		},
		{
			"item of a batch",
			Identity{Kind: IdentityBatch, Parts: []string{"night-run"}, Index: "10"},
			"web",
			prefixed("batch", "web", "night-run", "10"),
		},
		{"webhook", Identity{Kind: IdentityWebhook, Parts: []string{"evt_1"}}, "stripe", prefixed("webhook", "stripe", "evt_1", "")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sum := sha256.Sum256(tt.want)
			got := tt.identity.ClaimID(tt.client)
			require.Equal(t, hex.EncodeToString(sum[:]), got.String())
			require.Equal(t, got, tt.identity.ClaimID(tt.client), "a pure function")
		})
	}
}

// A value computed once by another program (sha256sum) keeps the format from changing.
func TestClaimIDIsFrozen(t *testing.T) {
	t.Parallel()
	id := Identity{Kind: IdentityKey, Parts: []string{"order-1"}}.ClaimID("web")
	require.Equal(t, "0e269e2c6c439dff32838dcfa26057229a8b77a2e0c54a0ca1a345da03ef720b", id.String())
}

func TestDistinctIdentitiesHaveDistinctClaims(t *testing.T) {
	t.Parallel()
	type caller struct {
		name     string
		identity Identity
		client   string
	}
	callers := []caller{
		{"base", Identity{Kind: IdentityKey, Parts: []string{"ab"}}, "c"},
		{"client and key shifted", Identity{Kind: IdentityKey, Parts: []string{"b"}}, "ca"},
		{"other client", Identity{Kind: IdentityKey, Parts: []string{"ab"}}, "d"},
		{"other key", Identity{Kind: IdentityKey, Parts: []string{"ba"}}, "c"},
		{"other kind", Identity{Kind: IdentityCloudEvent, Parts: []string{"ab"}}, "c"},
		{"source and id", Identity{Kind: IdentityCloudEvent, Parts: []string{"a", "bc"}}, "c"},
		{"source and id shifted", Identity{Kind: IdentityCloudEvent, Parts: []string{"ab", "c"}}, "c"},
		{"source and id swapped", Identity{Kind: IdentityCloudEvent, Parts: []string{"bc", "a"}}, "c"},
		{"source and id in one", Identity{Kind: IdentityCloudEvent, Parts: []string{"abc"}}, "c"},
		{"item of a batch", Identity{Kind: IdentityBatch, Parts: []string{"ab"}, Index: "0"}, "c"},
		{"next item", Identity{Kind: IdentityBatch, Parts: []string{"ab"}, Index: "1"}, "c"},
		{"index shifted into the key", Identity{Kind: IdentityBatch, Parts: []string{"ab1"}}, "c"},
		{"empty id", Identity{Kind: IdentityCloudEvent, Parts: []string{"abc", ""}}, "c"},
		{"a key that looks like a length", Identity{Kind: IdentityKey, Parts: []string{"a\x00\x00\x00\x01b"}}, "c"},
	}
	seen := map[ClaimID]string{}
	for _, c := range callers {
		id := c.identity.ClaimID(c.client)
		require.Empty(t, seen[id], "%s has the claim of another", c.name)
		seen[id] = c.name
	}
}

func TestIdentityIsZero(t *testing.T) {
	t.Parallel()
	require.True(t, Identity{}.IsZero())
	require.False(t, Identity{Kind: IdentityKey, Parts: []string{"k"}}.IsZero())
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	const eventType, version, mediaType = "orders.placed", "v2", "application/json"
	data := []byte(`{"orderId":"o-1"}`)
	base := NewFingerprint(eventType, version, mediaType, data)
	sum := sha256.Sum256(prefixed(eventType, version, mediaType, string(data)))
	require.Equal(t, Fingerprint(sum), base)

	tests := []struct {
		name                          string
		eventType, version, mediaType string
		data                          []byte
	}{
		{"other type", "orders.placeD", version, mediaType, data},
		{"no version named", eventType, "", mediaType, data},
		{"type and version shifted", eventType + "v", "2", mediaType, data},
		{"version and media type shifted", eventType, version + "a", mediaType[1:], data},
		{"media type and data shifted", eventType, version, mediaType + "{", data[1:]},
		{"other media type", eventType, version, "application/cloudevents+json", data},
		{"other data", eventType, version, mediaType, []byte(`{"orderId":"o-2"}`)},
		{"same JSON with other spacing", eventType, version, mediaType, []byte(`{"orderId": "o-1"}`)},
		{"no data", eventType, version, mediaType, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.NotEqual(t, base, NewFingerprint(tt.eventType, tt.version, tt.mediaType, tt.data))
		})
	}
	require.Equal(t, base, NewFingerprint(eventType, version, mediaType, bytes.Clone(data)), "a pure function")
}

func TestClaimStateNames(t *testing.T) {
	t.Parallel()
	names := map[ClaimState]string{
		Claimed: "claimed", Settled: "settled", InProgress: "in-progress", LeftUnknown: "unknown",
		Abandoned: "abandoned", Reused: "reused", Absent: "absent",
		0: "state-0", -1: "state--1", Absent + 1: "state-8",
	}
	for state, name := range names {
		require.Equal(t, name, state.String())
	}
}
