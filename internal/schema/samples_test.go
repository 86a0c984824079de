package schema

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/strictjson"
)

// The sample types are a contract with the documentation and with `gateway dev`.
func TestSamples(t *testing.T) {
	t.Parallel()
	set, order, first := sample(t)
	require.Equal(t, []string{
		"customers.address-changed", "metrics.page-viewed", "orders.cancelled", "orders.placed", "payments.captured",
	}, set.Topics())
	require.InDelta(t, 200, len(first), 40)
	require.Equal(t, []string{"/orderId"}, order.def.KeyPointers)
	checked, err := set.Check("orders.placed", "v1", first)
	require.NoError(t, err)
	require.Equal(t, "o-10492", *checked.Key)
	orderID, ok := pointerOf(t, "/properties/orderId").InTree(tree(t, order.raw))
	require.True(t, ok)
	id, ok := orderID.(map[string]any)
	require.True(t, ok)
	require.Equal(t, []any{"string", json.Number("1"), json.Number("64"), nil}, []any{id["type"], id["minLength"], id["maxLength"], id["pattern"]})

	payment, err := set.Lookup("payments.captured", "")
	require.NoError(t, err)
	require.Equal(t, "v2", payment.Version)
	require.True(t, payment.IdempotencyRequired)
	view, err := set.Lookup("metrics.page-viewed", "")
	require.NoError(t, err)
	require.Equal(t, event.PublishOnStoreFailure, view.OnStoreFailure)
	require.Empty(t, view.KeyPointers)
	address := set.types["customers.address-changed"].newest()
	checked, err = set.Check("customers.address-changed", "", address.examples[0])
	require.NoError(t, err)
	require.Equal(t, "acme:c-318", *checked.Key)
}

// Newcomers read the samples: every type and every property says what it is.
func TestSamplesAreDescribed(t *testing.T) {
	t.Parallel()
	set, err := Load("../../schemas")
	require.NoError(t, err)
	for _, described := range set.Types() {
		require.NotEmpty(t, described.Title)
		require.NotEmpty(t, described.Description)
		require.NotEmpty(t, described.Examples)
		for _, version := range described.Versions {
			raw, err := set.Schema(described.Name, version)
			require.NoError(t, err)
			requireDescribed(t, described.Name+" "+version, tree(t, raw))
		}
	}
}

func requireDescribed(t *testing.T, where string, node any) {
	t.Helper()
	switch v := node.(type) {
	case map[string]any:
		properties, _ := v["properties"].(map[string]any)
		for name, property := range properties {
			p, ok := property.(map[string]any)
			require.True(t, ok)
			require.NotEmpty(t, p["title"], "%s/%s", where, name)
			if p["type"] != "object" {
				require.NotEmpty(t, p["description"], "%s/%s", where, name)
			}
		}
		for name, child := range v {
			requireDescribed(t, where+"/"+name, child)
		}
	case []any:
		for _, child := range v {
			requireDescribed(t, where, child)
		}
	}
}

func tree(t *testing.T, data []byte) any {
	t.Helper()
	doc, err := parse(data)
	require.NoError(t, err)
	return doc.Root
}

func pointerOf(t *testing.T, text string) strictjson.Pointer {
	t.Helper()
	p, err := parsePointer(text)
	require.NoError(t, err)
	return p
}
