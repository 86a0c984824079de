package schema

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/strictjson"
)

const (
	dialect7    = `"$schema":"http://json-schema.org/draft-07/schema#"`
	dialect2019 = `"$schema":"https://json-schema.org/draft/2019-09/schema"`
	event1      = `"x-event":{"key":"/id"}`
)

// portable are folders whose type t is gathered, with data to tell it by.
var portable = map[string]struct {
	files     files
	good, bad []string
}{
	"no reference": {
		files{"t/v1.json": `{` + event1 + `,"properties":{"id":{"type":"string","maxLength":3}}}`},
		[]string{`{"id":"a"}`},
		[]string{`{"id":"long"}`},
	},
	"own definitions": {
		files{"t/v1.json": `{` + event1 + `,"properties":{"id":{"$ref":"#/$defs/a~1b%25"}},"$defs":{"a/b%":{"type":"string"}}}`},
		[]string{`{"id":"a"}`},
		[]string{`{"id":1}`},
	},
	"another file, and one behind it": {
		files{
			"t/v1.json":             `{` + event1 + `,"properties":{"at":{"$ref":"../_shared/address.json#/$defs/place"}},"$defs":{"x":true}}`,
			"_shared/address.json":  `{"$defs":{"place":{"properties":{"zip":{"$ref":"deep/zip.json"}}}}}`,
			"_shared/deep/zip.json": `{"type":"string","minLength":5}`,
		},
		[]string{`{"id":"a","at":{"zip":"12345"}}`},
		[]string{`{"id":"a","at":{"zip":"1"}}`, `{"id":"a","at":{"zip":1}}`},
	},
	"a tree of itself": {
		files{"t/v1.json": `{` + event1 + `,"properties":{"id":{"type":"integer"},"sub":{"items":{"$ref":"#"}}}}`},
		[]string{`{"id":1,"sub":[{"id":2,"sub":[]}]}`},
		[]string{`{"id":1,"sub":[{"id":2,"sub":[{"id":"x"}]}]}`},
	},
	"files that refer to each other": {
		files{
			"t/v1.json":      `{` + event1 + `,"properties":{"id":{"type":"integer"},"b":{"$ref":"../_shared/b.json"}}}`,
			"_shared/b.json": `{"properties":{"t":{"$ref":"../t/v1.json"}},"required":["t"]}`,
		},
		[]string{`{"id":1,"b":{"t":{"id":2}}}`},
		[]string{`{"id":1,"b":{"t":{"id":"x"}}}`, `{"id":1,"b":{}}`},
	},
	"absolute ids, anchors and embedded ids": {
		files{
			"t/v1.json": `{"$id":"https://example.com/s/t/v1.json",` + event1 + `,"properties":{
				"a":{"$ref":"#here"},"b":{"$ref":"../_shared/b.json#there"},"c":{"$ref":"inner#/$defs/n"},"d":{"$ref":"https://example.com/s/t/inner"}},
				"$defs":{"x":{"$anchor":"here","type":"string"},"y":{"$id":"inner","type":"object","$defs":{"n":{"type":"null"}},"properties":{"self":{"$ref":"#/$defs/n"}}}}}`,
			"_shared/b.json": `{"$defs":{"z":{"$anchor":"there","type":"boolean"}}}`,
		},
		[]string{`{"id":"1","a":"","b":true,"c":null,"d":{"self":null}}`},
		[]string{`{"id":"1","a":1}`, `{"id":"1","b":1}`, `{"id":"1","c":1}`, `{"id":"1","d":{"self":1}}`},
	},
	"data that looks like a reference": {
		files{"t/v1.json": `{` + event1 + `,"properties":{"a":{"const":{"$ref":"nowhere.json"}},"$ref":{"type":"string"}},"examples":[{"id":"1","a":{"$ref":"nowhere.json"}}]}`},
		[]string{`{"id":"1","a":{"$ref":"nowhere.json"},"$ref":"x"}`},
		[]string{`{"id":"1","a":{}}`, `{"id":"1","$ref":2}`},
	},
	"tuples": {
		files{"t/v1.json": `{` + event1 + `,"properties":{"id":{"type":"string"},"a":{"prefixItems":[{"type":"string"},{"$ref":"#/properties/id"}],"items":false}}}`},
		[]string{`{"id":"1","a":["x","y"]}`},
		[]string{`{"id":"1","a":[1]}`, `{"id":"1","a":["x","y",1]}`},
	},
	"tuples of draft 7": {
		files{"t/v1.json": `{` + dialect7 + `,` + event1 + `,"properties":{"a":{"items":[{"type":"string"}],"additionalItems":{"type":"null"}},"b":{"items":{"type":"null"},"additionalItems":false}}}`},
		[]string{`{"id":"1","a":["x",null],"b":[null,null]}`},
		[]string{`{"id":"1","a":[1]}`, `{"id":"1","a":["x",1]}`, `{"id":"1","b":[1]}`},
	},
	"tuples of 2019-09": {
		files{"t/v1.json": `{` + dialect2019 + `,` + event1 + `,"properties":{"a":{"items":[{"type":"string"}],"additionalItems":false}}}`},
		[]string{`{"id":"1","a":["x"]}`},
		[]string{`{"id":"1","a":["x",1]}`},
	},
	"dependencies of draft 7": {
		files{"t/v1.json": `{` + dialect7 + `,` + event1 + `,"dependencies":{"a":["b"],"c":{"required":["d"]}}}`},
		[]string{`{"id":"1","a":1,"b":1}`, `{"id":"1","c":1,"d":1}`},
		[]string{`{"id":"1","a":1}`, `{"id":"1","c":1}`},
	},
	"dependent schemas": {
		files{"t/v1.json": `{` + event1 + `,"dependentRequired":{"a":["b"]},"dependentSchemas":{"c":{"required":["d"]}}}`},
		[]string{`{"id":"1","a":1,"b":1}`, `{"id":"1","c":1,"d":1}`},
		[]string{`{"id":"1","a":1}`, `{"id":"1","c":1}`},
	},
	"what stands beside a reference": {
		files{"t/v1.json": `{` + event1 + `,"properties":{"a":{"$ref":"#/$defs/s","maxLength":2,"allOf":[{"minLength":1}]}},"$defs":{"s":{"type":"string"}}}`},
		[]string{`{"id":"1","a":"xx"}`},
		[]string{`{"id":"1","a":1}`, `{"id":"1","a":"xxx"}`, `{"id":"1","a":""}`},
	},
	"what draft 7 ignores beside a reference": {
		files{"t/v1.json": `{` + dialect7 + `,` + event1 + `,"properties":{"a":{"$ref":"#/definitions/s","maxLength":2}},"definitions":{"s":{"type":"string"}}}`},
		[]string{`{"id":"1","a":"xxx"}`},
		[]string{`{"id":"1","a":1}`},
	},
}

// compileAlone compiles a document that must not need any other.
func compileAlone(t *testing.T, doc []byte, at string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat = true
	require.NoError(t, c.AddResource("https://alone.invalid/doc", bytes.NewReader(doc)))
	compiled, err := c.Compile("https://alone.invalid/doc#" + at)
	require.NoError(t, err, "%s", doc)
	return compiled
}

func requireSame(t *testing.T, compiled *jsonschema.Schema, good, bad []string) {
	t.Helper()
	for i, text := range append(append([]string{}, good...), bad...) {
		var v any
		require.NoError(t, json.Unmarshal([]byte(text), &v))
		if err := compiled.Validate(v); i < len(good) {
			require.NoError(t, err, text)
		} else {
			require.Error(t, err, text)
		}
	}
}

func TestBundleMeansTheSame(t *testing.T) {
	t.Parallel()
	for name, tt := range portable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := tt.files.load(t)
			require.NoError(t, err)
			for i, text := range append(append([]string{}, tt.good...), tt.bad...) {
				_, err := set.Check("t", "", []byte(text))
				require.Equal(t, i < len(tt.good), err == nil, "the case itself is wrong: %s", text)
			}
			bundle, err := set.Bundle("t", "")
			require.NoError(t, err)
			requireSame(t, compileAlone(t, bundle, ""), tt.good, tt.bad)
		})
	}
}

func TestOtherDraftMeansTheSame(t *testing.T) {
	t.Parallel()
	for dialect, u := range map[string]string{"7": dialectURLs["7"], "2020-12": dialectURLs["2020-12"]} {
		for name, tt := range portable {
			t.Run(dialect+" "+name, func(t *testing.T) {
				t.Parallel()
				set, err := tt.files.load(t)
				require.NoError(t, err)
				gathered, err := set.Gather("t", "", func(path string) string { return "/components/" + strictjson.EscapeToken(path) })
				require.NoError(t, err)
				other, err := gathered.As(dialect)
				require.NoError(t, err)
				components := map[string]json.RawMessage{}
				for _, part := range other.Parts {
					components[part.Path] = part.Schema
				}
				doc, err := json.Marshal(map[string]any{"$schema": u, "components": components})
				require.NoError(t, err)
				requireSame(t, compileAlone(t, doc, "/components/t~1v1.json"), tt.good, tt.bad)
			})
		}
	}
}

func TestNotPortable(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]files{
		"dynamic reference": {"t/v1.json": `{` + event1 + `,"$dynamicAnchor":"n","properties":{"a":{"$dynamicRef":"#n"}}}`},
		"metaschema":        {"t/v1.json": `{` + event1 + `,"properties":{"a":{"$ref":"https://json-schema.org/draft/2020-12/schema"}}}`},
		"mixed drafts": {
			"t/v1.json":      `{` + event1 + `,"properties":{"a":{"$ref":"../_shared/b.json"}}}`,
			"_shared/b.json": `{` + dialect7 + `}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := f.load(t)
			require.NoError(t, err)
			_, err = set.Bundle("t", "v1")
			require.ErrorIs(t, err, ErrNotPortable)
		})
	}
	for name, schema := range map[string]string{
		"draft 4": `{"$schema":"http://json-schema.org/draft-04/schema#",` + event1 + `}`,
		"a reference through a keyword that is renamed": `{` + dialect7 + `,` + event1 + `,"items":[{"type":"string"}],"properties":{"a":{"$ref":"#/items/0"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gathered, err := one(t, schema).Gather("t", "", func(string) string { return "" })
			require.NoError(t, err)
			_, err = gathered.As("2020-12")
			require.ErrorIs(t, err, ErrNotPortable)
		})
	}
}

func TestGatherKeepsTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	set := one(t, `{"$id":"https://example.com/t","type":"object","x-event":{"key":"/z"},"properties":{"z":{"type":"string"},"a":{"maximum":10.50},"m":true}}`)
	bundle, err := set.Bundle("t", "")
	require.NoError(t, err)
	want := `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"z":{"type":"string"},"a":{"maximum":10.50},"m":true}}`
	require.Zero(t, strings.Compare(want, string(bundle)), "%s", bundle)
	_, err = set.Bundle("unknown", "")
	refusal(t, err)
}

func TestGatherOfAllSamples(t *testing.T) {
	t.Parallel()
	set, err := Load("../../schemas")
	require.NoError(t, err)
	for _, described := range set.Types() {
		for _, version := range described.Versions {
			bundle, err := set.Bundle(described.Name, version)
			require.NoError(t, err)
			require.NotContains(t, string(bundle), `.json#`)
			compileAlone(t, bundle, "")
		}
	}
}
