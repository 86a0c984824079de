package infer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/strictjson"
)

// read reads samples that must be good.
func read(tb testing.TB, data string) []Sample {
	tb.Helper()
	samples, err := Read("s.json", []byte(data))
	require.NoError(tb, err)
	return samples
}

// inferred infers a schema without a key.
func inferred(tb testing.TB, data string) (*Result, map[string]any) {
	tb.Helper()
	samples := read(tb, data)
	d, err := New("t", samples, []string{"null"})
	require.NoError(tb, err)
	require.NoError(tb, d.Verify(samples))
	var schema map[string]any
	require.NoError(tb, json.Unmarshal(d.Schema, &schema))
	return d, schema
}

const twoOrders = `{"orderId":"o-1","total":12345678901234567890.10,"placedAt":"2026-11-23T09:15:30Z","items":[{"sku":"a","n":1},{"sku":"b"}]}
{"orderId":"o-2","total":1,"placedAt":"2026-11-23T18:16:02.250+09:00","items":[],"note":null}
`

func TestNew(t *testing.T) {
	t.Parallel()
	samples := read(t, twoOrders)
	d, err := New("orders.placed", samples, nil)
	require.NoError(t, err)
	require.NoError(t, d.Verify(samples))
	require.True(t, d.Guessed)
	require.Equal(t, []string{"/orderId"}, d.Keys)
	require.Equal(t, []string{"/note is null in all samples: say its type"}, d.Notes)
	//nolint:testifylint // the order and the layout are what is tested
	require.Equal(t, `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Orders placed",
  "x-event": { "key": "/orderId" },
  "type": "object",
  "required": ["orderId", "total", "placedAt", "items"],
  "properties": {
    "orderId": { "type": "string" },
    "total": { "type": "number" },
    "placedAt": { "type": "string", "format": "date-time" },
    "items": {
      "type": "array",
      "items": {
        "type": "object",
        "required": ["sku"],
        "properties": {
          "sku": { "type": "string" },
          "n": { "type": "integer" }
        }
      }
    },
    "note": {}
  },
  "examples": [
    {
      "orderId": "o-1",
      "total": 12345678901234567890.10,
      "placedAt": "2026-11-23T09:15:30Z",
      "items": [{ "sku": "a", "n": 1 }, { "sku": "b" }]
    },
    { "orderId": "o-2", "total": 1, "placedAt": "2026-11-23T18:16:02.250+09:00", "items": [], "note": null }
  ]
}
`, string(d.Schema))
}

func TestInference(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ samples, want string }{
		"string":                 {`{"a":"x"}`, `{"type":"string"}`},
		"integer":                {`{"a":1}{"a":-20000000000000000000000}`, `{"type":"integer"}`},
		"number with a fraction": {`{"a":1.0}`, `{"type":"number"}`},
		"number by exponent":     {`{"a":1e3}{"a":1}`, `{"type":"number"}`},
		"boolean":                {`{"a":true}{"a":false}`, `{"type":"boolean"}`},
		"nullable":               {`{"a":null}{"a":1}`, `{"type":["integer","null"]}`},
		"union":                  {`{"a":true}{"a":"x"}{"a":1}{"a":[]}{"a":{}}{"a":null}`, `{"type":["object","array","string","integer","boolean","null"]}`},
		"only null":              {`{"a":null}`, `{}`},
		"empty list":             {`{"a":[]}`, `{"type":"array"}`},
		"items are merged":       {`{"a":[1,null]}{"a":["x"]}`, `{"type":"array","items":{"type":["string","integer","null"]}}`},
		"lists of lists":         {`{"a":[[1],[2.5]]}`, `{"type":"array","items":{"type":"array","items":{"type":"number"}}}`},
		"empty object":           {`{"a":{}}`, `{"type":"object"}`},
		"optional members": {
			`{"a":{"x":1,"y":1}}{"a":{"y":2,"z":3}}`,
			`{"type":"object","required":["y"],"properties":{"x":{"type":"integer"},"y":{"type":"integer"},"z":{"type":"integer"}}}`,
		},
		"object or string":    {`{"a":{"x":1}}{"a":"x"}`, `{"type":["object","string"],"required":["x"],"properties":{"x":{"type":"integer"}}}`},
		"names of keywords":   {`{"a":{"$ref":"x","$id":"y","type":1,"enum":[1]}}`, `{"type":"object","required":["$ref","$id","type","enum"],"properties":{"$ref":{"type":"string"},"$id":{"type":"string"},"type":{"type":"integer"},"enum":{"type":"array","items":{"type":"integer"}}}}`},
		"date-time":           {`{"a":"2026-11-23T09:14:05Z"}{"a":"2026-11-23T09:14:05.123+01:00"}`, `{"type":"string","format":"date-time"}`},
		"date":                {`{"a":"2026-11-23"}`, `{"type":"string","format":"date"}`},
		"uuid":                {`{"a":"0190163d-8694-739b-aea5-966c26f8ad91"}`, `{"type":"string","format":"uuid"}`},
		"email":               {`{"a":"ada.l@example.co.uk"}`, `{"type":"string","format":"email"}`},
		"uri":                 {`{"a":"https://example.com/a?b=c#d"}`, `{"type":"string","format":"uri"}`},
		"nullable format":     {`{"a":"2026-11-23"}{"a":null}`, `{"type":["string","null"],"format":"date"}`},
		"formats that differ": {`{"a":"2026-11-23"}{"a":"2026-11-23T09:14:05Z"}`, `{"type":"string"}`},
		"not every string":    {`{"a":"ada@example.com"}{"a":"nobody"}`, `{"type":"string"}`},
		"no date-time":        {`{"a":"2026-11-23T09:14:05+24:00"}`, `{"type":"string"}`},
		"no URI":              {`{"a":"a:b"}`, `{"type":"string"}`},
		"no date":             {`{"a":"2026-02-30"}`, `{"type":"string"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, schema := inferred(t, tc.samples)
			properties, _ := schema["properties"].(map[string]any)
			got, err := json.Marshal(properties["a"])
			require.NoError(t, err)
			require.JSONEq(t, tc.want, string(got))
		})
	}
}

func TestFormatsAreThoseOfTheGateway(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"2026-11-23T09:14:05+23:59", "2026-11-23T00:00:00.000000000000Z", "0000-01-01T00:00:00-00:00", "9999-12-31",
		"a@b.cd", "A_b%c+d-e.f@x-y.example.museum", "ftp://[::1]:21/x", "x+y.z-1://h", "http://user@h/%41", "00000000-0000-0000-0000-000000000000",
	} {
		inferred(t, `{"a":`+quote(s)+`}`)
	}
}

func TestExamples(t *testing.T) {
	t.Parallel()
	t.Run("three at most", func(t *testing.T) {
		t.Parallel()
		_, schema := inferred(t, `{"a":1}{"a":2}{"a":3}{"a":4}`)
		require.Len(t, schema["examples"], maxExamples)
	})
	t.Run("none that is large", func(t *testing.T) {
		t.Parallel()
		d, schema := inferred(t, `{"a":"`+strings.Repeat("x", maxExampleBytes)+`"}{"a":"y"}`)
		require.Len(t, schema["examples"], 1)
		require.Equal(t, []string{"s.json:1 is too large or too deep to be an example"}, d.Notes)
	})
	t.Run("numbers and text as written", func(t *testing.T) {
		t.Parallel()
		d, _ := inferred(t, `{"a":1E2,"b":0.10000000000000000000000000001,"c":-0,"d":"é\u0000\"\\/"}`)
		for _, literal := range []string{`"a": 1E2`, `"b": 0.10000000000000000000000000001`, `"c": -0`, `"d": "é\u0000\"\\/"`} {
			require.Contains(t, string(d.Schema), literal)
		}
	})
	t.Run("deep", func(t *testing.T) {
		t.Parallel()
		deep := strings.Repeat(`{"a":`, strictjson.MaxDepth) + "1" + strings.Repeat("}", strictjson.MaxDepth)
		d, schema := inferred(t, deep)
		require.NotContains(t, schema, "examples")
		require.Contains(t, strings.Join(d.Notes, "\n"), "is 24 levels deep: what is inside is not described")
	})
	t.Run("notes are bounded", func(t *testing.T) {
		t.Parallel()
		var members []string
		for range 3 * maxNotes {
			members = append(members, quote(strings.Repeat("x", len(members)+1))+":null")
		}
		d, _ := inferred(t, "{"+strings.Join(members, ",")+"}")
		require.Len(t, d.Notes, maxNotes+1)
		require.Equal(t, "and 20 more of this kind", d.Notes[maxNotes])
	})
}

func TestKey(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		eventType, samples string
		want               string // or an error
		wrong              []string
	}{
		"named after the type":         {"orders.placed", `{"id":"e","customerId":"c","orderId":"o"}`, "/orderId", nil},
		"snake case":                   {"orders.placed", `{"order_id":1,"customer_id":2}`, "/order_id", nil},
		"plural in -ies":               {"deliveries.sent", `{"deliveryID":"d","orderId":"o"}`, "/deliveryID", nil},
		"plural in -es":                {"boxes.packed", `{"boxId":"b","orderId":"o"}`, "/boxId", nil},
		"camel case type":              {"OrderPlaced", `{"orderId":"b","customerId":"o"}`, "/orderId", nil},
		"inside an object":             {"orders.placed", `{"id":"e","order":{"id":"o"}}`, "/order/id", nil},
		"the only id":                  {"orders.placed", `{"name":"x","id":"e"}`, "/id", nil},
		"the only id in all samples":   {"orders.placed", `{"aId":"x","bId":"e"}{"bId":"f"}`, "/bId", nil},
		"escaped":                      {"a/b.c", `{"x/~_id":"1"}`, "/x~1~0_id", nil},
		"paid is no id":                {"x.y", `{"paid":"x","rapid":1,"aId":"1"}`, "/aId", nil},
		"two ids":                      {"x.y", `{"name":"n","aId":"1","bId":"2"}`, "", []string{"cannot tell which member names the entity", "say it with --key /aId (it could be /aId, /bId, /name)", "--key null"}},
		"no id":                        {"x.y", `{"name":"n","at":"2026-11-23T09:14:05Z","on":true}`, "", []string{"--key /name (it could be /name)"}},
		"nothing usable":               {"x.y", `{"id":"","a":1.5,"b":null,"c":[1]}`, "", []string{"no string or integer is in all samples; say --key null"}},
		"the id is empty somewhere":    {"x.y", `{"xId":"1"}{"xId":""}`, "", []string{"say --key null"}},
		"the id is too long somewhere": {"x.y", `{"xId":"` + strings.Repeat("x", maxKeyBytes+1) + `"}`, "", []string{"say --key null"}},
		"many":                         {"x.y", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1}`, "", []string{"/j and 2 more)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := guessKey(tc.eventType, read(t, tc.samples))
			require.Equal(t, tc.want, key)
			if tc.want != "" {
				require.NoError(t, err)
			}
			for _, text := range tc.wrong {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

func TestKeysSaid(t *testing.T) {
	t.Parallel()
	samples := read(t, `{"a":"x","b":1,"c":null}`)
	for name, tc := range map[string]struct {
		keys  []string
		want  string
		wrong string
	}{
		"one":              {[]string{"/a"}, `"x-event": { "key": "/a" }`, ""},
		"two parts":        {[]string{"/a", "/b"}, `"x-event": { "key": ["/a", "/b"] }`, ""},
		"none":             {[]string{"null"}, `"x-event": { "key": null }`, ""},
		"not there":        {[]string{"/x"}, "", "s.json:1: the gateway would refuse this sample (key-missing): "},
		"null in a sample": {[]string{"/c"}, "", "/c is null"},
		"no pointer":       {[]string{"a"}, "", `/x-event/key: "a" is not a JSON Pointer`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := New("t", samples, tc.keys)
			require.NoError(t, err)
			require.False(t, d.Guessed)
			if tc.wrong != "" {
				require.ErrorContains(t, d.Verify(samples), tc.wrong)
				return
			}
			require.NoError(t, d.Verify(samples))
			require.Contains(t, string(d.Schema), tc.want)
		})
	}
}

func TestVerifyNamesTheSample(t *testing.T) {
	t.Parallel()
	samples := read(t, "{\"a\":1}\n{\"a\":1e999}")
	d, err := New("t", samples, []string{"null"})
	require.NoError(t, err)
	require.ErrorContains(t, d.Verify(samples), "s.json:2: the gateway would refuse this sample (malformed-json): ")
}

func TestNewWithoutSamples(t *testing.T) {
	t.Parallel()
	_, err := New("t", nil, nil)
	require.ErrorContains(t, err, "no sample event")
}

func TestTitle(t *testing.T) {
	t.Parallel()
	for eventType, want := range map[string]string{
		"orders.placed": "Orders placed", "customers.address-changed": "Customers address changed",
		"OrderPlaced": "Order placed", "x": "X", "...": "...",
	} {
		require.Equal(t, want, title(eventType))
	}
}

func TestSave(t *testing.T) {
	t.Parallel()
	samples := read(t, twoOrders)
	d, err := New("orders.placed", samples, nil)
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")

	path, err := d.Save(dir, "")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "orders.placed", "v1.json"), path)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(d.Schema), string(data))

	require.NoError(t, os.WriteFile(path, []byte("{}"), 0o600))
	_, err = d.Save(dir, "")
	require.ErrorContains(t, err, "orders.placed is there already, up to v1 in "+filepath.Dir(path))
	require.ErrorContains(t, err, "--version v2")
	_, err = d.Save(dir, "v1")
	require.ErrorContains(t, err, path+" is there already and is not overwritten; draft the next version with --version v2")
	data, err = os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "{}", string(data))

	path, err = d.Save(dir, "v2")
	require.NoError(t, err)
	require.FileExists(t, path)
	_, err = d.Save(dir, "2")
	require.ErrorContains(t, err, `"2" is not a version; versions are v1, v2, …: say --version v3`)
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	require.NoError(t, CheckName("orders.placed"))
	for name, want := range map[string]string{
		"": "is not an event type", "a/b": "is not an event type", "..": "cannot be an event type",
		"_shared": "a shared schema or ignored", ".x": "ignored", "readme.md": "ignored",
	} {
		require.ErrorContains(t, CheckName(name), want)
		_, err := (&Result{EventType: name}).Save(t.TempDir(), "")
		require.ErrorContains(t, err, want)
	}
}
