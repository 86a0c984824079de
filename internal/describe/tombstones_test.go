package describe

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/schema"
)

func deletable(tb testing.TB) *schema.Set {
	return load(tb, map[string]string{
		"cust.omers/v1.json": `{"x-event":{"key":"/id"}}`,
		"cust.omers/v2.json": `{"title":"Customer","x-event":{"key":["/a","/b"],"tombstones":true,"headers":{"X-Tenant-Id":"tenant-id","Idempotency-Key":"key"}}}`,
		"cust-omers/v1.json": `{"x-event":{"key":"/id","tombstones":true,"content_mode":"structured"}}`,
		"plain/v1.json":      `{"x-event":{"key":"/id"}}`,
	})
}

func parameterNames(op map[string]any) (names []string) {
	for _, p := range op["parameters"].([]any) {
		if name, ok := p.(map[string]any)["name"].(string); ok {
			names = append(names, name)
		}
	}
	return names
}

func TestOpenAPIOfTombstonesAndHeaders(t *testing.T) {
	t.Parallel()
	whole, err := base(t).OpenAPI(deletable(t))
	require.NoError(t, err)
	one, err := base(t).OpenAPIOf(deletable(t), "cust.omers")
	require.NoError(t, err)
	for name, text := range map[string][]byte{"whole": whole.JSON, "of one type": one} {
		var d document
		require.NoError(t, json.Unmarshal(text, &d.root), name)
		requireReferencesHold(t, d, d.root)
		deletion := d.get(t, "#/paths/~1v1~1events~1cust.omers~1{key}/delete")
		require.Equal(t, "delete_cust_omers", deletion["operationId"].(string)[:len("delete_cust_omers")])
		require.Equal(t, "Customer: delete an entity", deletion["summary"])
		require.Equal(t, []string{"key", "X-Tenant-Id"}, parameterNames(deletion), "the others are references, Idempotency-Key among them")
		require.Contains(t, deletion["parameters"].([]any)[0].(map[string]any)["description"], "`/a`, `/b`")
		require.Contains(t, deletion["responses"], "202")
		require.NotContains(t, deletion, "requestBody")
		require.Equal(t, []string{"version", "X-Tenant-Id"}, parameterNames(d.get(t, "#/paths/~1v1~1events~1cust.omers/post")))
		require.Empty(t, parameterNames(d.get(t, "#/paths/~1v1~1events~1cust.omers~1v1/post")))
		_, found := d.at("#/paths/~1v1~1events~1plain~1{key}")
		require.False(t, found)
	}
}

func TestAsyncAPIOfTombstonesAndHeaders(t *testing.T) {
	t.Parallel()
	text, err := AsyncAPI(deletable(t))
	require.NoError(t, err)
	var d document
	require.NoError(t, json.Unmarshal(text, &d.root))
	requireReferencesHold(t, d, d.root)
	require.Equal(t, "The request header X-Tenant-Id, if it was sent.", d.get(t, "#/components/messages/cust.omers.v2/headers/properties/tenant-id")["description"])
	for _, name := range []string{"cust.omers.v2.tombstone", "cust-omers.v1.tombstone"} {
		m := d.get(t, "#/components/messages/"+name)
		require.Equal(t, map[string]any{"type": "null"}, m["payload"])
		headers := d.get(t, "#/components/messages/"+name+"/headers")
		require.NotContains(t, headers["properties"], "content-type")
		require.NotContains(t, headers["required"], "content-type")
		require.Contains(t, headers["required"], "ce_id")
	}
	require.Contains(t, d.get(t, "#/components/messages/cust.omers.v2/headers")["required"], "content-type", "of the event itself")
	require.Len(t, d.get(t, "#/channels/cust.omers")["messages"], 3)
	_, found := d.at("#/components/messages/plain.v1.tombstone")
	require.False(t, found)
}
