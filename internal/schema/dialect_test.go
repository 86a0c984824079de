package schema

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/schema/compat"
)

// A tuple is what tells the drafts apart: an array under "items" is one up to 2019-09, a
// list of schemas is refused in 2020-12.
const tuple = `{"$schema":%q,"x-event":{"key":null},"type":"object",
	"properties":{"pair":{"type":"array","items":[{"type":"string"}],"additionalItems":false}}}`

// TestSpellingsOfDrafts: every spelling of a draft is that draft, in validation, in the
// description and in the comparison.
func TestSpellingsOfDrafts(t *testing.T) {
	t.Parallel()
	for address, dialect := range map[string]string{
		"http://json-schema.org/draft-04/schema#":       "4",
		"https://json-schema.org/draft-04/schema":       "4",
		"http://json-schema.org/draft-06/schema":        "6",
		"https://json-schema.org/draft-06/schema#":      "6",
		"http://json-schema.org/draft-07/schema#":       "7",
		"http://json-schema.org/draft-07/schema":        "7",
		"https://json-schema.org/draft-07/schema#":      "7",
		"https://json-schema.org/draft-07/schema":       "7",
		"http://json-schema.org/draft-07/schema/":       "7",
		"http://json-schema.org/draft-07/schema#/":      "7",
		"https://json-schema.org/draft-07/schema/#":     "7",
		"HTTP://JSON-Schema.org/Draft-07/Schema#":       "7",
		"http://www.json-schema.org/draft-07/schema#":   "7",
		"http://json-schema.org/draft/2019-09/schema#":  "2019-09",
		"https://json-schema.org/draft/2019-09/schema":  "2019-09",
		"https://json-schema.org/draft/2019-09/schema/": "2019-09",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			set := one(t, fmt.Sprintf(tuple, address))
			_, err := set.Check("t", "", []byte(`{"pair":["a"]}`))
			require.NoError(t, err)
			for _, data := range []string{`{"pair":[1]}`, `{"pair":["a","b"]}`} {
				_, err = set.Check("t", "", []byte(data))
				refusal(t, err)
			}
			v, err := set.Version("t", "")
			require.NoError(t, err)
			require.Equal(t, dialect, v.Dialect)
			bundle, err := set.Bundle("t", "")
			require.NoError(t, err)
			var described struct {
				Schema string `json:"$schema"`
			}
			require.NoError(t, json.Unmarshal(bundle, &described))
			require.Equal(t, dialectURLs[dialect], described.Schema)
			canonical := one(t, fmt.Sprintf(tuple, dialectURLs[dialect]))
			require.Empty(t, Changes(set, canonical))

			narrower := one(t, fmt.Sprintf(`{"$schema":%q,"x-event":{"key":null},"type":"object",
				"properties":{"pair":{"type":"array","items":[{"type":"integer"}],"additionalItems":false}}}`, address))
			changes := Changes(set, narrower)
			require.NotEmpty(t, changes)
			require.Equal(t, compat.Breaking, changes[0].Verdict, "a changed tuple breaks")
		})
	}
	for _, address := range []string{"http://json-schema.org/draft/2020-12/schema#", "https://json-schema.org/draft/2020-12/schema/", "https://json-schema.org/schema"} {
		v, err := one(t, fmt.Sprintf(`{"$schema":%q,"x-event":{"key":null},"prefixItems":[true]}`, address)).Version("t", "")
		require.NoError(t, err)
		require.Equal(t, "2020-12", v.Dialect)
	}
}

func TestUnknownDrafts(t *testing.T) {
	t.Parallel()
	for address, write := range map[string]string{
		"":                                       "https://json-schema.org/draft/2020-12/schema",
		"draft-07":                               "http://json-schema.org/draft-07/schema#",
		"http://json-schema.org/draft/07/schema": "http://json-schema.org/draft-07/schema#",
		"https://json-schema.org/draft-7/schema": "http://json-schema.org/draft-07/schema#",
		"https://json-schema.org/draft-2019-09/schema": "https://json-schema.org/draft/2019-09/schema",
		"https://json-schema.org/draft-07/schema.json": "http://json-schema.org/draft-07/schema#",
		"http://json-schema.org/draft-03/schema#":      "https://json-schema.org/draft/2020-12/schema",
		"https://example.com/schema":                   "https://json-schema.org/draft/2020-12/schema",
		" http://json-schema.org/draft-07/schema#":     "http://json-schema.org/draft-07/schema#",
	} {
		lines := files{"t/v1.json": fmt.Sprintf(`{"$schema":%q,"x-event":{"key":null}}`, address)}.problems(t)
		require.Len(t, lines, 1, address)
		require.Contains(t, lines[0], fmt.Sprintf("/$schema: %q is not known; use draft 4", address))
		require.Contains(t, lines[0], fmt.Sprintf("for example %q", write))
	}
}

// The library would read a schema of another draft by the rules of the file's.
func TestDraftsOfSubschemas(t *testing.T) {
	t.Parallel()
	const inside = `{"$schema":"http://json-schema.org/draft-07/schema#","x-event":{"key":null},"properties":{"a":{"$schema":%s,"type":"string"}}}`
	for _, same := range []string{`"http://json-schema.org/draft-07/schema#"`, `"https://json-schema.org/draft-07/schema"`} {
		_, err := one(t, fmt.Sprintf(inside, same)).Check("t", "", []byte(`{"a":1}`))
		refusal(t, err)
	}
	for other, want := range map[string]string{
		`"https://json-schema.org/draft/2020-12/schema"`: "/properties/a/$schema: is of draft 2020-12 inside a file of draft 7, by whose rules it would be read; move the schema to a file of its own and refer to it",
		`"https://example.com/x"`:                        `/properties/a/$schema: is of "https://example.com/x" inside a file of draft 7`,
		`1`:                                              "/properties/a/$schema: must be a string",
	} {
		lines := files{"t/v1.json": fmt.Sprintf(inside, other)}.problems(t)
		require.Len(t, lines, 1)
		require.Contains(t, lines[0], want)
	}
}

// A metaschema of one's own is of a draft, too.
func TestOwnMetaschema(t *testing.T) {
	t.Parallel()
	meta := `{"$schema":"https://json-schema.org/draft-07/schema","$id":"https://example.com/meta","allOf":[{"$ref":"http://json-schema.org/draft-07/schema#"}],"required":["title"]}`
	folder := files{"_s/meta.json": meta, "t/v1.json": `{"$schema":"https://example.com/meta#","title":"T","x-event":{"key":null},"items":[{"type":"string"}]}`}
	set, err := folder.load(t)
	require.NoError(t, err)
	v, err := set.Version("t", "")
	require.NoError(t, err)
	require.Equal(t, "7", v.Dialect)
	_, err = set.Check("t", "", []byte(`[1]`))
	refusal(t, err)
	_, err = set.Check("t", "", []byte(`["a",1]`))
	require.NoError(t, err)

	folder["t/v1.json"] = `{"$schema":"https://example.com/meta#","x-event":{"key":null}}`
	require.Contains(t, folder.problems(t)[0], "is not a valid schema (required)")
}
