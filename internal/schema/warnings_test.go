package schema

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// warnings of a folder of one file, without the file's name.
func warningsOf(tb testing.TB, text string) []string {
	tb.Helper()
	var lines []string
	for _, w := range one(tb, text).Warnings() {
		lines = append(lines, strings.TrimPrefix(w.String(), "t/v1.json:1: "))
	}
	return lines
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	const (
		d4 = `"$schema":"http://json-schema.org/draft-04/schema#",`
		d6 = `"$schema":"http://json-schema.org/draft-06/schema#",`
		d7 = `"$schema":"http://json-schema.org/draft-07/schema#",`
	)
	for name, c := range map[string]struct {
		schema string // after x-event
		want   []string
	}{
		"nothing to warn of": {`"type":"object","properties":{"requried":{"const":1},"nullable":{"type":"string","x-mine":1}},"$defs":{"nullable":true},"default":{"requried":1},"const":{"nullable":true},"examples":[]`, nil},
		"a near miss":        {`"requried":["a"]`, []string{`/requried: is ignored: "requried" is not a keyword of JSON Schema; did you mean required?`}},
		"other capitals":     {`"minlength":1`, []string{`/minlength: is ignored: "minlength" is not a keyword of JSON Schema; did you mean minLength?`}},
		"below, and several": {`"properties":{"a":{"propertes":{}},"b":{"items":{"propertes":{}}}}`, []string{`/properties/a/propertes: is ignored: "propertes" is not a keyword of JSON Schema; did you mean properties? (and at 1 more places in this file)`}},
		"an unknown one":     {`"zoom":1`, []string{`/zoom: is ignored: "zoom" is not a keyword of JSON Schema; start the name with "x-" if it is your own`}},
		"nullable": {
			`"properties":{"a":{"type":"string","nullable":true}}`,
			[]string{`/properties/a/nullable: is ignored: "nullable" is OpenAPI 3.0's, and null is refused here; write "type": ["string", "null"]`},
		},
		"nullable, with enum":         {`"properties":{"a":{"type":"string","enum":["x"],"nullable":true}}`, []string{`/properties/a/nullable: is ignored: "nullable" is OpenAPI 3.0's, and null is refused here; write "type": ["string", "null"], and add null to "enum"`}},
		"nullable, with $ref":         {`"properties":{"a":{"$ref":"#/$defs/x","nullable":true}},"$defs":{"x":{}}`, []string{`/properties/a/nullable: is ignored: "nullable" is OpenAPI 3.0's, and null is refused here; write "anyOf": [{…}, {"type": "null"}]`}},
		"nullable: false":             {`"properties":{"a":{"type":"string","nullable":false}}`, nil},
		"discriminator":               {`"discriminator":{"propertyName":"type"}`, []string{`/discriminator: is ignored: "discriminator" is OpenAPI's; give the member that tells the variants apart a "const" in each of them`}},
		"a keyword of a newer draft":  {d7 + `"prefixItems":[true]`, []string{`/prefixItems: is ignored: "prefixItems" is a keyword of draft 2020-12, and the file is of draft 7; write "items": […], or name a newer draft`}},
		"a keyword of an older draft": {`"additionalItems":false`, []string{`/additionalItems: is ignored: "additionalItems" is a keyword of drafts 4 to 2019-09, and the file is of draft 2020-12; write "items" beside "prefixItems"`}},
		"id":                          {`"id":"x"`, []string{`/id: is ignored: "id" is a keyword of draft 4, and the file is of draft 2020-12; write "$id"`}},
		"if in draft 6":               {d6 + `"if":true`, []string{`/if: is ignored: "if" is a keyword of draft 7 and later, and the file is of draft 6`}},
		"beside $ref in draft 7": {
			d7 + `"properties":{"a":{"$ref":"#/definitions/x","maxLength":1,"description":"d"}},"definitions":{"x":{}}`,
			[]string{`/properties/a/maxLength: is ignored: in draft 7 nothing beside "$ref" counts; write {"allOf": [{"$ref": …}], "maxLength": …}`},
		},
		"beside $ref since 2019-09": {`"properties":{"a":{"$ref":"#/$defs/x","maxLength":1}},"$defs":{"x":{}}`, nil},
		"a format that is near one": {`"properties":{"a":{"format":"datetime"},"b":{"format":"guid"},"c":{"format":"int32"}}`, []string{`/properties/a/format: is not checked: there is no format "datetime"; did you mean date-time?`, `/properties/b/format: is not checked: there is no format "guid"; did you mean uuid?`}},
		"a pattern of RE2":          {`"pattern":"(?i)a"`, []string{`/pattern: the pattern "(?i)a" is RE2's and not ECMA 262's (ECMA 262 has no group like the one at character 1): other validators refuse it or read it differently`}},
		"an empty enum":             {`"properties":{"a":{"enum":[]}}`, []string{"/properties/a/enum: is empty, so that no value is valid; list the values, or write false for the whole schema if that is meant"}},
		"integers of draft 4":       {d4 + `"properties":{"a":{"type":"integer"},"b":{"type":["integer","null"]}}`, []string{"/properties/a/type: accepts 1.0, too, which is not an integer in draft 4; it is one in all later drafts (and at 1 more places in this file)"}},
		"content in draft 7":        {d7 + `"properties":{"a":{"contentEncoding":"base64"}}`, []string{"/properties/a/contentEncoding: is not checked: the gateway takes it for a description, as drafts since 2019-09 do"}},
		"$dynamicRef":               {`"$dynamicAnchor":"a","properties":{"a":{"$dynamicRef":"#a"}}`, []string{"/properties/a/$dynamicRef: may find another schema than the standard says, if a reference passes through a file or \"$id\" without applying its root; test it with examples, or use \"$ref\""}},
		"no draft named":            {`"$schema":"http://json-schema.org/schema#"`, []string{`/$schema: names no draft and is read as draft 2020-12; write "https://json-schema.org/draft/2020-12/schema"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, warningsOf(t, `{"x-event":{"key":null},`+c.schema+`}`))
		})
	}
}

func TestWarningsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files{"t/v1.json": `{"x-event":{"key":null},"requried":[],"zoom":1}`}.write(t, dir)
	var log strings.Builder
	_, err := New(Config{Dir: dir}, slog.New(slog.NewJSONHandler(&log, nil)), prometheus.NewRegistry())
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), `"warnings":2`)
	require.Contains(t, log.String(), "did you mean required?")
}
