package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestLoadProblems(t *testing.T) {
	t.Parallel()
	good := keyed(`null`)
	for name, tc := range map[string]struct {
		files files
		want  []string // pieces of the problem lines, in order
	}{
		"README only":            {files{"README.md": "hello"}, []string{"the folder holds no event type; add <event type>/v1.json"}},
		"shared only":            {files{"_shared/a.json": `{}`}, []string{"the folder holds no event type"}},
		"stray file":             {files{"t/v1.json": good, "orders.placed.json": good}, []string{"orders.placed.json: does not belong here; the schemas folder holds one folder per event type (orders.placed/v1.json)"}},
		"type with a space":      {files{"my type/v1.json": good}, []string{"my type: is not an event type; names are 1 to 200"}},
		"type without version":   {files{"t/README.md": ""}, []string{"t: has no version; add t/v1.json"}},
		"version without v":      {files{"t/1.json": good, "t/v1.json": good}, []string{"t/1.json: does not belong here"}},
		"version v0":             {files{"t/v0.json": good, "t/v1.json": good}, []string{"t/v0.json: does not belong"}},
		"version v01":            {files{"t/v01.json": good, "t/v1.json": good}, []string{"t/v01.json: does not belong"}},
		"version in capitals":    {files{"t/V1.json": good, "t/v1.json": good}, []string{"t/V1.json: does not belong"}},
		"folder in a type":       {files{"t/v1.json": good, "t/old/v1.json": good}, []string{"t/old: does not belong"}},
		"folder named v2.json":   {files{"t/v1.json": good, "t/v2.json/x": good}, []string{"t/v2.json: does not belong"}},
		"shared, not JSON":       {files{"t/v1.json": good, "_s/a.txt": ""}, []string{"_s/a.txt: does not belong here; a folder that starts with \"_\""}},
		"shared, too deep":       {files{"t/v1.json": good, "_s/2/3/4/5/6/7/8/9/a.json": `{}`}, []string{"_s/2/3/4/5/6/7/8/9: is nested too deep"}},
		"malformed":              {files{"t/v1.json": "{\n  \"a\": 1,\n}"}, []string{"t/v1.json:2: column 9: invalid character ','"}},
		"empty file":             {files{"t/v1.json": ""}, []string{"t/v1.json:1: column 1: the data is empty"}},
		"duplicate name":         {files{"t/v1.json": `{"x-event":{"key":null,"key":"/a"}}`}, []string{"t/v1.json:1: /x-event/key: column 24: the member name \"key\" appears twice"}},
		"hostile number":         {files{"t/v1.json": `{"x-event":{"key":null},"minimum":1e9999999}`}, []string{"/minimum: column 35: a number's exponent is beyond"}},
		"not an object":          {files{"t/v1.json": `true`}, []string{"t/v1.json:1: must be an object with the keyword \"x-event\""}},
		"no x-event":             {files{"t/v1.json": `{}`}, []string{"\"x-event\" is missing; add \"x-event\": {\"key\""}},
		"x-event is no object":   {files{"t/v1.json": `{"x-event":"/id"}`}, []string{"/x-event: must be an object"}},
		"key not said":           {files{"t/v1.json": `{"x-event":{}}`}, []string{"/x-event: \"key\" must be said"}},
		"key is a number":        {files{"t/v1.json": keyed(`1`)}, []string{"/x-event/key: must be a JSON Pointer such as"}},
		"key is no pointer":      {files{"t/v1.json": keyed(`"id"`)}, []string{`/x-event/key: "id" is not a JSON Pointer: it must start with "/", as in "/id"`}},
		"key has a bad escape":   {files{"t/v1.json": keyed(`"/a~2"`)}, []string{`"/a~2" is not a JSON Pointer: write "~" as "~0"`}},
		"key ends in ~":          {files{"t/v1.json": keyed(`"/a~"`)}, []string{`"/a~" is not a JSON Pointer`}},
		"key is an empty list":   {files{"t/v1.json": keyed(`[]`)}, []string{"/x-event/key: is an empty list"}},
		"key list holds null":    {files{"t/v1.json": keyed(`["/a",null]`)}, []string{"/x-event/key/1: must be a JSON Pointer in a string"}},
		"key list repeats":       {files{"t/v1.json": keyed(`["/a","/a"]`)}, []string{`/x-event/key/1: names "/a" a second time`}},
		"unknown member":         {files{"t/v1.json": `{"x-event":{"key":null,"topik":"x"}}`}, []string{"/x-event/topik: is not known; did you mean topic?"}},
		"unknown member, far":    {files{"t/v1.json": `{"x-event":{"key":null,"zzzzzz":"x"}}`}, []string{"/x-event/zzzzzz: is not known; known are body_limit, content_mode, headers, idempotency"}},
		"topic with a space":     {files{"t/v1.json": `{"x-event":{"key":null,"topic":"a b"}}`}, []string{"/x-event/topic: is not a Kafka topic name"}},
		"topic is two dots":      {files{"t/v1.json": `{"x-event":{"key":null,"topic":".."}}`}, []string{"/x-event/topic: is not a Kafka topic name"}},
		"topic is empty":         {files{"t/v1.json": `{"x-event":{"key":null,"topic":""}}`}, []string{"/x-event/topic: is not a Kafka topic name"}},
		"topic is too long":      {files{"t/v1.json": `{"x-event":{"key":null,"topic":"` + strings.Repeat("a", 250) + `"}}`}, []string{"/x-event/topic: is not a Kafka topic name"}},
		"topic is a number":      {files{"t/v1.json": `{"x-event":{"key":null,"topic":1}}`}, []string{"/x-event/topic: is not a Kafka topic name"}},
		"idempotency":            {files{"t/v1.json": `{"x-event":{"key":null,"idempotency":true}}`}, []string{`/x-event/idempotency: must be "required" or "optional"`}},
		"on_store_failure":       {files{"t/v1.json": `{"x-event":{"key":null,"on_store_failure":["reject"]}}`}, []string{`/x-event/on_store_failure: must be "reject" or "publish"`}},
		"body_limit unit":        {files{"t/v1.json": `{"x-event":{"key":null,"body_limit":"64KB"}}`}, []string{"/x-event/body_limit: must be a size such as"}},
		"body_limit fraction":    {files{"t/v1.json": `{"x-event":{"key":null,"body_limit":1.5}}`}, []string{"/x-event/body_limit: must be a size"}},
		"body_limit zero":        {files{"t/v1.json": `{"x-event":{"key":null,"body_limit":0}}`}, []string{"/x-event/body_limit: must be a size"}},
		"body_limit too large":   {files{"t/v1.json": `{"x-event":{"key":null,"body_limit":"1025MiB"}}`}, []string{"/x-event/body_limit: must be a size"}},
		"not a schema":           {files{"t/v1.json": `{"x-event":{"key":null},"properties":{"a":{"minLength":-1}}}`}, []string{"/properties/a/minLength: is not a valid schema (minimum)"}},
		"bad pattern":            {files{"t/v1.json": `{"x-event":{"key":null},"pattern":"(?=a)"}`}, []string{`/pattern: the pattern "(?=a)" cannot be used: the look-ahead (?= is beyond the gateway's regular expressions, which are RE2's; write`}},
		"unknown draft":          {files{"t/v1.json": `{"$schema":"http://json-schema.org/draft-03/schema#","x-event":{"key":null}}`}, []string{"/$schema: \"http://json-schema.org/draft-03/schema#\" is not known; use draft 4"}},
		"draft is no string":     {files{"t/v1.json": `{"$schema":1,"x-event":{"key":null}}`}, []string{"/$schema: must be a string"}},
		"examples are no list":   {files{"t/v1.json": `{"$schema":"http://json-schema.org/draft-04/schema#","x-event":{"key":null},"examples":{}}`}, []string{"/examples: must be a list"}},
		"example breaks schema":  {files{"t/v1.json": `{"x-event":{"key":null},"properties":{"a":{"minimum":1}},"examples":[{},{"a":0}]}`}, []string{"/examples/1/a: would be refused (schema-violation, minimum): must be at least 1, but is 0"}},
		"example without key":    {files{"t/v1.json": `{"x-event":{"key":"/id"},"examples":[{}]}`}, []string{"/examples/0/id: would be refused (key-missing, x-event): the entity key is missing"}},
		"ref to a missing file":  {files{"t/v1.json": `{"x-event":{"key":null},"items":{"$ref":"../_s/adress.json"}}`, "_s/address.json": `{}`}, []string{"t/v1.json:1: /items/$ref: there is no file _s/adress.json in the schemas folder, and a reference cannot leave it; did you mean _s/address.json?"}},
		"ref to the network":     {files{"t/v1.json": `{"x-event":{"key":null},"$ref":"https://example.com/a.json"}`}, []string{"/$ref: no file has the \"$id\" https://example.com/a.json"}},
		"ref to the file system": {files{"t/v1.json": `{"x-event":{"key":null},"$ref":"file:///etc/passwd"}`}, []string{"/$ref: no file has the \"$id\" file:///etc/passwd"}},
		"ref above the folder":   {files{"t/v1.json": `{"x-event":{"key":null},"$ref":"../../../../etc/passwd"}`}, []string{"/$ref: there is no file etc/passwd in the schemas folder"}},
		"ref encoded":            {files{"t/v1.json": `{"x-event":{"key":null},"$ref":"..%2f..%2fetc/passwd"}`}, []string{"/$ref: there is no file"}},
		"ref to nothing there":   {files{"t/v1.json": `{"x-event":{"key":null},"$ref":"../_s/a.json#/$defs/x"}`, "_s/a.json": `{}`}, []string{"t/v1.json:1: /$ref: _s/a.json#/$defs/x does not exist"}},
		"ref to itself":          {files{"t/v1.json": `{"x-event":{"key":null},"$ref":"#"}`}, []string{"refers to itself without end"}},
		"missing ref of shared":  {files{"t/v1.json": `{"x-event":{"key":null},"$ref":"../_s/a.json"}`, "_s/a.json": `{"$ref":"b.json"}`}, []string{"_s/a.json:1: /$ref: there is no file _s/b.json"}},
		"loop in shared":         {files{"T/v1.json": `{"x-event":{"key":null},"$ref":"../_s/a.json"}`, "_s/a.json": `{"$ref":"#"}`}, []string{"_s/a.json:1: refers to itself without end"}},
		"missing ref in a list, under an $id": {
			files{"t/v1.json": `{"$id":"https://example.com/x/","x-event":{"key":null},"allOf":[true,{"$id":"y/","properties":{"a":{"$ref":"z.json"}}}]}`},
			[]string{`/allOf/1/properties/a/$ref: no file has the "$id" https://example.com/x/y/z.json`},
		},
		"same $id": {files{"t/v1.json": `{"$id":"https://example.com/a","x-event":{"key":null}}`, "t/v2.json": `{"$id":"https://example.com/a#","x-event":{"key":null}}`}, []string{"t/v2.json:1: /$id: \"https://example.com/a\" is also the name of t/v1.json"}},
		"everything at once": {
			files{
				"a/v1.json": `{"x-event":{"topic":"a b"}}`, "b/v1.json": `{`, "b/v2.json": `{"type":"strin","x-event":{"key":"id"}}`,
				"stray": "", "_s/x.json": `{"minLength":"1"}`, "c/README.md": "",
			},
			[]string{
				"_s/x.json:1: /minLength: is not a valid schema (type)", "a/v1.json:1: /x-event: \"key\" must be said", "a/v1.json:1: /x-event/topic",
				"b/v1.json:1: column 2", "b/v2.json:1: /type: is not a valid schema (enum): value must be one of", "b/v2.json:1: /x-event/key",
				"c: has no version", "stray: does not belong",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := tc.files.problems(t)
			require.Len(t, lines, len(tc.want), strings.Join(lines, "\n"))
			for i, line := range lines {
				require.Contains(t, line, tc.want[i])
				require.NotContains(t, line, folderURL)
			}
		})
	}
}

func TestLoadAccepts(t *testing.T) {
	t.Parallel()
	text := `"properties":{"s":{"type":"string"}},"x-event":{"key":null}`
	shared := `{"type":"object","required":["s"],"properties":{"s":{"type":"string"}}}`
	for name, f := range map[string]files{
		"draft 4":          {"t/v1.json": `{"$schema":"http://json-schema.org/draft-04/schema#","id":"https://example.com/t",` + text + `}`},
		"draft 6":          {"t/v1.json": `{"$schema":"http://json-schema.org/draft-06/schema#",` + text + `}`},
		"draft 7":          {"t/v1.json": `{"$schema":"http://json-schema.org/draft-07/schema#",` + text + `}`},
		"draft 2019-09":    {"t/v1.json": `{"$schema":"https://json-schema.org/draft/2019-09/schema",` + text + `}`},
		"draft 2020-12":    {"t/v1.json": `{"$schema":"https://json-schema.org/draft/2020-12/schema",` + text + `}`},
		"no draft":         {"t/v1.json": `{` + text + `}`},
		"ignored names":    {"t/v1.json": `{` + text + `}`, ".git/config": "x", "README.md": "x", "t/README.md": "x", "t/.v2.json.swp": "x", "_s/README.md": "x", "_s/.x": ""},
		"ref by path":      {"t/v1.json": `{"$ref":"../_s/a/b.json","x-event":{"key":null}}`, "_s/a/b.json": shared},
		"ref to neighbour": {"t/v1.json": `{"$ref":"v2.json","x-event":{"key":null}}`, "t/v2.json": `{` + text + `}`},
		"ref to fragment":  {"t/v1.json": `{"$ref":"../_s/a.json#/$defs/s","x-event":{"key":null}}`, "_s/a.json": `{"$defs":{"s":` + shared + `}}`},
		"ref to anchor":    {"t/v1.json": `{"$ref":"../_s/a.json#s","x-event":{"key":null}}`, "_s/a.json": `{"$defs":{"s":{"$anchor":"s","properties":{"s":{"type":"string"}}}}}`},
		"ref with a space": {"t/v1.json": `{"$ref":"../_s/a%20b.json","x-event":{"key":null}}`, "_s/a b.json": shared},
		"ref by $id":       {"t/v1.json": `{"$ref":"https://example.com/s","x-event":{"key":null}}`, "_s/a.json": `{"$id":"https://example.com/s","properties":{"s":{"type":"string"}}}`},
		"ref by urn":       {"t/v1.json": `{"$ref":"urn:example:s","x-event":{"key":null}}`, "_s/a.json": `{"$id":"urn:example:s","properties":{"s":{"type":"string"}}}`},
		"ref under an $id": {"t/v1.json": `{"$id":"https://example.com/x/t/v1.json","$ref":"../_s/a%20b.json","x-event":{"key":null}}`, "_s/a b.json": shared},
		"custom metaschema": {
			"t/v1.json":    `{"$schema":"https://example.com/meta",` + text + `}`,
			"_s/meta.json": `{"$id":"https://example.com/meta","$schema":"https://json-schema.org/draft/2020-12/schema","$ref":"https://json-schema.org/draft/2020-12/schema"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := f.load(t)
			require.NoError(t, err)
			_, err = set.Check("t", "v1", []byte(`{"s":"x"}`))
			require.NoError(t, err)
			_, err = set.Check("t", "v1", []byte(`{"s":1}`))
			require.Equal(t, event.SchemaViolation, refusal(t, err).Kind)
		})
	}
}

func TestFormatIsAssertedContentIsNot(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{
		"http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-06/schema#", "http://json-schema.org/draft-07/schema#",
		"https://json-schema.org/draft/2019-09/schema", "https://json-schema.org/draft/2020-12/schema",
	} {
		set := one(t, `{"$schema":"`+dialect+`","x-event":{"key":null},"properties":{
			"u":{"format":"uuid"},"o":{"format":"of-our-own"},"c":{"contentEncoding":"base64","contentMediaType":"application/json"}}}`)
		_, err := set.Check("t", "", []byte(`{"c":"%%%","o":"x"}`))
		require.NoError(t, err, dialect)
		_, err = set.Check("t", "", []byte(`{"u":"x"}`))
		require.Equal(t, "format", refusal(t, err).Violations[0].Keyword, dialect)
	}
}

func TestSchemaID(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		`{"$id":"https://example.com/t#","x-event":{"key":null}}`: "https://example.com/t",
		`{"$id":"urn:example:t","x-event":{"key":null}}`:          "urn:example:t",
		`{"$id":"t.json","x-event":{"key":null}}`:                 "",
		`{"x-event":{"key":null}}`:                                "",
		`{"$schema":"http://json-schema.org/draft-04/schema#","id":"https://example.com/4","x-event":{"key":null}}`:   "https://example.com/4",
		`{"$schema":"http://json-schema.org/draft-04/schema#","$id":"https://example.com/no","x-event":{"key":null}}`: "",
	} {
		def, err := one(t, schema).Lookup("t", "")
		require.NoError(t, err)
		require.Equal(t, want, def.SchemaID, schema)
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{`1`: 1, `65536`: 65536, `"1B"`: 1, `"64KiB"`: 65536, `"1024MiB"`: 1 << 30} {
		def, err := one(t, `{"x-event":{"key":null,"body_limit":`+text+`}}`).Lookup("t", "")
		require.NoError(t, err)
		require.Equal(t, want, def.BodyLimit)
	}
}

func TestLoadFolder(t *testing.T) {
	t.Parallel()
	failure := func(t *testing.T, dir string) string {
		_, err := Load(dir)
		require.Error(t, err)
		return err.Error()
	}
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		require.Contains(t, failure(t, filepath.Join(t.TempDir(), "no")), "the folder does not exist; create it")
	})
	t.Run("not said", func(t *testing.T) {
		t.Parallel()
		require.Contains(t, failure(t, ""), "no schemas folder is configured")
	})
	t.Run("empty", func(t *testing.T) {
		t.Parallel()
		require.Contains(t, failure(t, t.TempDir()), "the folder holds no event type")
	})
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		at := filepath.Join(t.TempDir(), "f")
		require.NoError(t, os.WriteFile(at, nil, 0o600))
		require.Contains(t, failure(t, at), "the folder cannot be opened: not a directory")
	})
	t.Run("too large a file", func(t *testing.T) {
		t.Parallel()
		require.Contains(t, files{"t/v1.json": strings.Repeat(" ", maxFileBytes+1)}.problems(t)[0], "t/v1.json: is larger than 4 MiB")
	})
}

// configMap lays files out as the kubelet does: ..data points to a folder with
// the present content, and every entry beside it points through ..data.
func configMap(t *testing.T, dir, revision string, f files) {
	t.Helper()
	f.write(t, filepath.Join(dir, "..", "staging", revision))
	require.NoError(t, os.Rename(filepath.Join(dir, "..", "staging", revision), filepath.Join(dir, ".."+revision)))
	require.NoError(t, os.Symlink(".."+revision, filepath.Join(dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	entries, err := os.ReadDir(filepath.Join(dir, ".."+revision))
	require.NoError(t, err)
	for _, entry := range entries {
		link := filepath.Join(dir, entry.Name())
		if _, err := os.Lstat(link); err != nil {
			require.NoError(t, os.Symlink(filepath.Join("..data", entry.Name()), link))
		}
	}
}

func TestSymbolicLinks(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	files{"v1.json": keyed(`null`)}.write(t, outside)
	for name, link := range map[string]func(dir string) error{
		"a type outside": func(dir string) error { return os.Symlink(outside, filepath.Join(dir, "out")) },
		"a file outside": func(dir string) error {
			return os.Symlink(filepath.Join(outside, "v1.json"), filepath.Join(dir, "t", "v2.json"))
		},
		"a relative way out": func(dir string) error { return os.Symlink("../../../../../../../../etc", filepath.Join(dir, "etc")) },
		"dangling":           func(dir string) error { return os.Symlink("no", filepath.Join(dir, "t", "v2.json")) },
		"to itself":          func(dir string) error { return os.Symlink("v2.json", filepath.Join(dir, "t", "v2.json")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			files{"t/v1.json": keyed(`null`)}.write(t, dir)
			require.NoError(t, link(dir))
			_, err := Load(dir)
			require.ErrorContains(t, err, "a symbolic link must be relative and stay inside the schemas folder")
		})
	}
	t.Run("ConfigMap", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "mount")
		require.NoError(t, os.Mkdir(dir, 0o750))
		configMap(t, dir, "1", files{"t/v1.json": `{"$ref":"../_s/a.json","x-event":{"key":null}}`, "_s/a.json": `{"type":"object"}`})
		set, err := Load(dir)
		require.NoError(t, err)
		_, err = set.Check("t", "", []byte(`[]`))
		require.Equal(t, event.SchemaViolation, refusal(t, err).Kind)
	})
	t.Run("the folder itself", func(t *testing.T) {
		t.Parallel()
		link := filepath.Join(t.TempDir(), "schemas")
		dir := t.TempDir()
		files{"t/v1.json": keyed(`null`)}.write(t, dir)
		require.NoError(t, os.Symlink(dir, link))
		_, err := Load(link)
		require.NoError(t, err)
	})
}
