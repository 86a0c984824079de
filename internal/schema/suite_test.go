package schema

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"eventgateway/test/corpus"
)

type publicGroup struct {
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema"`
	Tests       []publicTest    `json:"tests"`
}

type publicTest struct {
	Description string          `json:"description"`
	Data        json.RawMessage `json:"data"`
	Valid       bool            `json:"valid"`
}

// publicDrafts are the folders of the public tests.
var publicDrafts = map[string]string{"draft4": "4", "draft6": "6", "draft7": "7", "draft2019-09": "2019-09", "draft2020-12": "2020-12"}

// suiteDeviations are the tests, by file, that the gateway answers otherwise, with the
// words of docs/schemas.md that say why.
var suiteDeviations = map[string]struct {
	tests int
	why   string
}{
	"draft2020-12/format.json":                       {19, "`format` is checked in all drafts"},
	"draft2020-12/dynamicRef.json":                   {2, "`$dynamicRef` past an intermediate resource"},
	"draft2020-12/optional/dynamicRef.json":          {2, "`$dynamicRef` past an intermediate resource"},
	"draft2020-12/optional/refOfUnknownKeyword.json": {2, "every entry of `examples` must be valid"},
	"draft2019-09/optional/refOfUnknownKeyword.json": {2, "every entry of `examples` must be valid"},
	"draft7/optional/content.json":                   {4, "`contentEncoding` and `contentMediaType` are not checked"},
	"draft4/optional/zeroTerminatedFloats.json":      {1, "1.0 is an integer in draft 4, too"},
}

// TestSuite runs the public JSON Schema tests, with the optional ones, as events of an
// event type.
func TestSuite(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/schemas.md")
	require.NoError(t, err)
	suite := corpus.Files(t, corpus.JSONSchemaTests)
	total, wrong := 0, map[string][]string{}
	for _, at := range sortedKeys(suite) {
		name, ok := strings.CutPrefix(at, "tests/")
		if !ok {
			continue
		}
		draft, _, _ := strings.Cut(name, "/")
		var groups []publicGroup
		require.NoError(t, json.Unmarshal(suite[at], &groups), name)
		remotes := suiteRemotes(suite, publicDrafts[draft])
		for _, g := range groups {
			total += len(g.Tests)
			wrong[name] = append(wrong[name], g.run(publicDrafts[draft], remotes)...)
		}
	}
	require.Equal(t, 8327, total)
	for name, found := range wrong {
		require.Len(t, found, suiteDeviations[name].tests, "%s:\n%s", name, strings.Join(found, "\n"))
		require.Contains(t, string(docs), suiteDeviations[name].why, name)
	}
}

// run returns the tests that are answered otherwise.
func (g publicGroup) run(dialect string, remotes files) (wrong []string) {
	schema := inDraft(byRetrieval.ReplaceAll(g.Schema, []byte("/_r/$1")), dialect, true)
	folder := files{"t/v1.json": schema}
	if strings.Contains(schema, "localhost:1234") || strings.Contains(schema, "/_r/") {
		for at, text := range remotes {
			folder[at] = text
		}
	}
	set, err := build(folder.inMemory(), nil)
	for _, test := range g.Tests {
		answer := err
		if err == nil {
			_, answer = set.Check("t", "", test.Data)
		}
		if err != nil || (answer == nil) != test.Valid {
			wrong = append(wrong, g.Description+": "+test.Description+": "+string(test.Data))
		}
	}
	return wrong
}

// byRetrieval are addresses of remotes that have another "$id". In a schemas folder, the
// address under which a file is retrieved is its path.
var byRetrieval = regexp.MustCompile(`http://localhost:1234/([a-z0-9-]*/(?:different-id-ref-string|urn-ref-string|ignore-dependentRequired)\.json)`)

// suiteRemotes are the suite's remote schemas as shared schemas of a folder.
func suiteRemotes(suite map[string][]byte, dialect string) files {
	remotes := files{}
	for at, data := range suite {
		name, ok := strings.CutPrefix(at, "remotes/")
		folder, _, _ := strings.Cut(name, "/")
		if !ok || folder == "v1" || folder == "draft3" {
			continue
		}
		of, text := dialect, string(data)
		if draft, ok := publicDrafts[folder]; ok {
			of = draft
		}
		if _, ok := members(data); ok {
			list, _ := members(jsontext.Value(inDraft(data, of, false)))
			if find(list, idOf(of)) == nil {
				list = append([]member{{idOf(of), stringOf("http://localhost:1234/" + name)}}, list...)
			}
			text = string(objectOf(list))
		}
		remotes["_r/"+name] = text
	}
	return remotes
}

// inDraft adds to a schema of the suite what an event type has.
func inDraft(schema []byte, dialect string, eventType bool) string {
	list, ok := members(schema)
	if !ok {
		list = []member{{"allOf", arrayOf([]jsontext.Value{schema})}}
	}
	var added []member
	if find(list, "$schema") == nil {
		added = append(added, member{"$schema", stringOf(dialectURLs[dialect])})
	}
	if eventType {
		added = append(added, member{"x-event", jsontext.Value(`{"key":null}`)})
	}
	return string(objectOf(append(added, list...)))
}
