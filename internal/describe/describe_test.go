package describe

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"eventgateway/internal/event"
	"eventgateway/internal/schema"
)

func base(tb testing.TB) *Base {
	tb.Helper()
	text, err := os.ReadFile("../../openapi.yaml")
	require.NoError(tb, err)
	b, err := NewBase(text)
	require.NoError(tb, err)
	return b
}

func load(tb testing.TB, files map[string]string) *schema.Set {
	tb.Helper()
	dir := tb.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(tb, os.MkdirAll(filepath.Dir(at), 0o750))
		require.NoError(tb, os.WriteFile(at, []byte(text), 0o600))
	}
	set, err := schema.Load(dir)
	require.NoError(tb, err)
	return set
}

// odd are event types that are hard to describe.
func odd(tb testing.TB) *schema.Set {
	return load(tb, map[string]string{
		"a.b/v1.json":             `{"title":"Emoji \ud83d\ude00, \u2028 and \u0085 \u007f","x-event":{"key":"/id"},"properties":{"id":{"$ref":"../_shared/deep/an id.json"}},"examples":[{"id":"\ud83d\ude00 <&> \"quoted\""}]}`,
		"a.b/v2.json":             `{"x-event":{"key":["/a","/b"],"topic":"t","idempotency":"required","on_store_failure":"publish","body_limit":"1KiB"}}`,
		"a_b/v1.json":             `{"x-event":{"key":null,"topic":"t"}}`,
		"old/v1.json":             `{"$schema":"http://json-schema.org/draft-04/schema#","x-event":{"key":"/id"},"properties":{"n":{"maximum":5,"exclusiveMaximum":true}}}`,
		"seven/v1.json":           `{"$schema":"https://json-schema.org/draft-07/schema#","x-event":{"key":"/id"},"properties":{"t":{"items":[{"type":"string"}]}}}`,
		"_shared/deep/an id.json": `{"type":"string","minLength":1}`,
		"_shared/deep/an_id.json": `{"type":"integer"}`,
		"_shared/unused.json":     `{}`,
		"dashed-name.x/v1.json":   `{"x-event":{"key":"/id"},"properties":{"id":{"$ref":"../_shared/deep/an_id.json"}}}`,
		"Problem/v1.json":         `{"x-event":{"key":"/id"}}`,
	})
}

// document is a parsed document that can follow its own references.
type document struct{ root any }

func (d document) at(pointer string) (any, bool) {
	node := d.root
	for _, token := range strings.Split(strings.TrimPrefix(pointer, "#"), "/")[1:] {
		object, ok := node.(map[string]any)
		if !ok {
			return nil, false
		}
		if node, ok = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(token)]; !ok {
			return nil, false
		}
	}
	return node, true
}

func (d document) get(tb testing.TB, pointer string) map[string]any {
	tb.Helper()
	node, ok := d.at(pointer)
	require.True(tb, ok, pointer)
	object, ok := node.(map[string]any)
	require.True(tb, ok, pointer)
	return object
}

func requireReferencesHold(tb testing.TB, d document, node any) {
	tb.Helper()
	switch node := node.(type) {
	case map[string]any:
		if ref, ok := node["$ref"].(string); ok {
			_, found := d.at(ref)
			require.True(tb, found, ref)
		}
		for _, child := range node {
			requireReferencesHold(tb, d, child)
		}
	case []any:
		for _, child := range node {
			requireReferencesHold(tb, d, child)
		}
	}
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	got, err := base(t).OpenAPI(odd(t))
	require.NoError(t, err)
	var d document
	require.NoError(t, json.Unmarshal(got.JSON, &d.root), string(got.JSON))
	requireReferencesHold(t, d, d.root)

	var fromYAML any
	require.NoError(t, yaml.Unmarshal(got.YAML(), &fromYAML))
	text, err := json.Marshal(fromYAML)
	require.NoError(t, err)
	require.JSONEq(t, string(got.JSON), string(text), "both notations say the same")

	var own []string
	ids := map[string]bool{}
	for path, item := range d.get(t, "#/paths") {
		if strings.HasPrefix(path, "/v1/events/") && !strings.Contains(path, "{") {
			own = append(own, path)
		}
		for _, op := range item.(map[string]any) {
			id := op.(map[string]any)["operationId"].(string)
			require.False(t, ids[id], id)
			ids[id] = true
		}
	}
	slices.Sort(own)
	require.Equal(t, []string{
		"/v1/events/Problem", "/v1/events/a.b", "/v1/events/a.b/v1", "/v1/events/a_b", "/v1/events/dashed-name.x", "/v1/events/old", "/v1/events/seven",
	}, own)

	newest := d.get(t, "#/paths/~1v1~1events~1a.b/post")
	require.Equal(t, "a.b v2", newest["summary"])
	require.Contains(t, newest["description"], "topic `t`, in order per entity; its key is `/a`, `/b`. An `Idempotency-Key` or `ce-id` is required.")
	require.Contains(t, newest["description"], "1024 bytes")
	require.Equal(t, map[string]any{"type": "string", "enum": []any{"v2"}}, newest["parameters"].([]any)[0].(map[string]any)["schema"])
	first := d.get(t, "#/paths/~1v1~1events~1a.b~1v1/post")
	require.Equal(t, "Emoji 😀, \u2028 and \u0085 \u007f (v1)", first["summary"])
	value, _ := d.at("#/paths/~1v1~1events~1a.b~1v1/post/requestBody/content/application~1json/examples/example 1/value")
	require.Equal(t, map[string]any{"id": `😀 <&> "quoted"`}, value)
	require.Equal(t, map[string]any{"type": "string", "minLength": 1.0}, d.get(t, "#/components/schemas/_shared.deep.an_id"))
	require.Equal(t, map[string]any{"type": "integer"}, d.get(t, "#/components/schemas/_shared.deep.an_id_2"))
	_, described := d.at("#/components/schemas/_shared.unused")
	require.False(t, described)
	require.Contains(t, d.get(t, "#/components/schemas/seven.v1/properties/t"), "prefixItems")

	require.NotContains(t, d.get(t, "#/components/schemas/a.b.v1"), "title", "versions share it, and generators name types after it")

	old := d.get(t, "#/paths/~1v1~1events~1old/post")
	require.Contains(t, old["description"], "draft 4) cannot be shown here")
	require.Equal(t, "/v1/event-types/old/schema?version=v1", old["externalDocs"].(map[string]any)["url"])
	anchors := Anchors(odd(t))
	require.Equal(t, "/a.*/publish_a_b_v2", anchors["a.b"])
	require.Equal(t, "/other event types/publish_a_b_v1_2", anchors["a_b"])
	for name, anchor := range anchors {
		op := d.get(t, "#/paths/~1v1~1events~1"+name+"/post")
		require.Equal(t, anchor, "/"+op["tags"].([]any)[0].(string)+"/"+op["operationId"].(string))
	}
}

func TestBaseNeedsItsPlaces(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../openapi.yaml")
	require.NoError(t, err)
	for _, place := range allPlaces {
		_, err := NewBase([]byte(strings.Replace(string(text), "# event types: "+place, "# nothing", 1)))
		require.ErrorContains(t, err, "# event types: "+place)
	}
	_, err = NewBase([]byte("a: [1"))
	require.ErrorContains(t, err, "read openapi.yaml")
}

// With content_mode: structured, consumers find the whole event in the value.
func TestAsyncAPIOfStructuredTypes(t *testing.T) {
	t.Parallel()
	text, err := AsyncAPI(load(t, map[string]string{
		"whole/v1.json": `{"x-event":{"key":"/id","content_mode":"structured"},"properties":{"id":{"type":"integer"}},"examples":[{ "id":9007199254740993 }]}`,
		"old/v1.json":   `{"$schema":"http://json-schema.org/draft-04/schema#","x-event":{"key":null,"content_mode":"structured"}}`,
		"plain/v1.json": `{"x-event":{"key":null},"examples":[{}]}`,
	}))
	require.NoError(t, err)
	require.Contains(t, string(text), "9007199254740993", "to the byte")
	var d document
	require.NoError(t, json.Unmarshal(text, &d.root))
	requireReferencesHold(t, d, d.root)

	whole := d.get(t, "#/components/messages/whole.v1")
	require.Equal(t, "application/cloudevents+json", whole["contentType"])
	require.Equal(t, map[string]any{"$ref": "#/components/schemas/whole.v1"}, d.get(t, "#/components/messages/whole.v1/payload/properties/data"))
	require.Equal(t, "application/cloudevents+json; charset=UTF-8", d.get(t, "#/components/messages/whole.v1/headers/properties/content-type")["const"])
	require.Contains(t, d.get(t, "#/components/messages/old.v1/payload/properties/data")["description"], "cannot be shown here")
	require.Equal(t, "application/json", d.get(t, "#/components/messages/plain.v1")["contentType"])
	require.Equal(t, map[string]any{"$ref": "#/components/schemas/plain.v1"}, d.get(t, "#/components/messages/plain.v1/payload"))

	// The examples fit, and so does every value that the gateway writes.
	payload, err := json.Marshal(map[string]any{"allOf": []any{whole["payload"]}, "components": map[string]any{"schemas": d.get(t, "#/components/schemas")}})
	require.NoError(t, err)
	compiled, err := jsonschema.CompileString("payload.json", string(payload))
	require.NoError(t, err)
	def := &event.Definition{Type: "whole", Version: "v1", Structured: true}
	full := event.Attributes{
		ID: "1", Source: "/s", Time: "2026-01-31T12:00:00Z", Subject: "s",
		Extensions: []event.Extension{{Name: "a", Value: "x"}, {Name: "b", Value: "7", Literal: true}, {Name: "c", Value: "true", Literal: true}},
	}
	example, err := json.Marshal(whole["examples"].([]any)[0].(map[string]any)["payload"])
	require.NoError(t, err)
	for _, value := range [][]byte{example, event.Structured(def, full, "application/json", "https://gw/schema", []byte(`{"id":1}`))} {
		var v any
		require.NoError(t, json.Unmarshal(value, &v))
		require.NoError(t, compiled.Validate(v), string(value))
		v.(map[string]any)["data"] = map[string]any{"id": "no integer"}
		require.Error(t, compiled.Validate(v))
	}
}

func TestAsyncAPI(t *testing.T) {
	t.Parallel()
	text, err := AsyncAPI(odd(t))
	require.NoError(t, err)
	var d document
	require.NoError(t, json.Unmarshal(text, &d.root))
	requireReferencesHold(t, d, d.root)

	channels := d.get(t, "#/channels")
	require.ElementsMatch(t, []string{"a.b", "t", "old", "seven", "dashed-name.x", "Problem"}, slices.Collect(maps.Keys(channels)))
	shared := d.get(t, "#/channels/t")
	require.Equal(t, "t", shared["address"])
	require.Len(t, shared["messages"], 2, "two event types in one topic")
	require.Len(t, d.get(t, "#/operations/t")["messages"], 2)
	require.Equal(t, "string", d.get(t, "#/components/messages/a.b.v2/bindings/kafka/key")["type"])
	require.Equal(t, "null", d.get(t, "#/components/messages/a_b.v1/bindings/kafka/key")["type"])
	require.Equal(t, "a.b", d.get(t, "#/components/messages/a.b.v1/headers/properties/ce_type")["const"])
	require.Contains(t, d.get(t, "#/components/schemas/seven.v1/properties/t"), "items")
	require.NotContains(t, d.get(t, "#/components/schemas"), "old.v1")
}
