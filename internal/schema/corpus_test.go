package schema

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/stretchr/testify/require"

	"eventgateway/test/corpus"
)

// suiteGroup is a schema and its tests, as in the public JSON Schema tests.
type suiteGroup struct {
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema"`
	Tests       []struct {
		Data  json.RawMessage `json:"data"`
		Valid bool            `json:"valid"`
	} `json:"tests"`
}

var suiteDrafts = map[string]*jsonschema.Draft{
	"draft4": jsonschema.Draft4, "draft6": jsonschema.Draft6, "draft7": jsonschema.Draft7,
	"draft2019-09": jsonschema.Draft2019, "draft2020-12": jsonschema.Draft2020,
}

// In all public tests, eval and explain say what the library says about the whole.
func TestPublicSchemaTests(t *testing.T) {
	t.Parallel()
	dir := corpus.Unpack(t, corpus.JSONSchemaTests)
	var compiled, fast, valid int
	for name, draft := range suiteDrafts {
		err := filepath.WalkDir(filepath.Join(dir, "tests", name), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			var groups []suiteGroup
			require.NoError(t, json.Unmarshal(text, &groups))
			for _, group := range groups {
				s, a := compileFromSuite(t, dir, draft, group)
				if s == nil {
					continue
				}
				compiled++
				for _, each := range group.Tests {
					quick, ok := holdsTogether(t, string(group.Schema), s, a, each.Data)
					if ok {
						valid++
					}
					if quick {
						fast++
					}
				}
			}
			return nil
		})
		require.NoError(t, err)
	}
	t.Logf("%d schemas, %d valid data, %d of them by the fast path", compiled, valid, fast)
	require.Greater(t, compiled, 1_500)
	require.GreaterOrEqual(t, fast*100, valid*95)
}

// compileFromSuite returns nil for a schema that the library cannot compile, such as one
// with a regular expression that only ECMAScript knows.
func compileFromSuite(t *testing.T, dir string, draft *jsonschema.Draft, group suiteGroup) (*jsonschema.Schema, *acceptor) {
	t.Helper()
	c := newTestCompiler(t, string(group.Schema))
	c.Draft = draft
	c.LoadURL = func(u string) (io.ReadCloser, error) {
		name, ok := strings.CutPrefix(u, "http://localhost:1234/")
		if !ok {
			return nil, os.ErrNotExist
		}
		return os.Open(filepath.Join(dir, "remotes", filepath.FromSlash(name)))
	}
	s, err := c.Compile("test.json")
	if err != nil {
		return nil, nil
	}
	a, err := newAcceptor(s, c.format)
	require.NoError(t, err, string(group.Schema))
	return s, a
}

// githubSet loads GitHub's webhook schemas.
func githubSet(tb testing.TB) (set *Set, deliveries map[string][][]byte) {
	tb.Helper()
	dir := corpus.Unpack(tb, corpus.GitHubWebhooks)
	schemas := filepath.Join(dir, "schemas")
	set, err := Load(schemas)
	require.NoError(tb, err)
	deliveries = map[string][][]byte{}
	examples, err := filepath.Glob(filepath.Join(dir, "examples", "*", "*.json"))
	require.NoError(tb, err)
	for _, path := range examples {
		text, err := os.ReadFile(path)
		require.NoError(tb, err)
		name := "github." + filepath.Base(filepath.Dir(path))
		deliveries[name] = append(deliveries[name], text)
	}
	return set, deliveries
}

func TestGitHubDeliveriesTakeTheFastPath(t *testing.T) {
	t.Parallel()
	set, deliveries := githubSet(t)
	var fast, valid, all int
	for name, list := range deliveries {
		v, err := set.version(name, "")
		require.NoError(t, err)
		for _, data := range list {
			all++
			quick, ok := holdsTogether(t, name, v.accept.schema, v.accept, data)
			if ok {
				valid++
			}
			if quick {
				fast++
			}
		}
	}
	t.Logf("%d deliveries, %d valid, %d by the fast path", all, valid, fast)
	require.GreaterOrEqual(t, all, 270)
	require.GreaterOrEqual(t, valid, 268)
	require.GreaterOrEqual(t, fast*100, valid*95)
}

// The examples of the sample event types take the fast path, all of them.
func TestSamplesTakeTheFastPath(t *testing.T) {
	t.Parallel()
	set, err := Load("../../schemas")
	require.NoError(t, err)
	count := 0
	for _, each := range set.types {
		for _, v := range each.versions {
			for _, data := range v.examples {
				fast, valid := holdsTogether(t, v.path, v.accept.schema, v.accept, data)
				require.True(t, fast && valid, v.path)
				count++
			}
		}
	}
	require.Greater(t, count, 5)
}

// pushDelivery is a push delivery of GitHub's.
func pushDelivery(b *testing.B) (*version, any, []byte) {
	b.Helper()
	set, deliveries := githubSet(b)
	v, err := set.version("github.push", "")
	require.NoError(b, err)
	data := deliveries["github.push"][0]
	doc, err := parse(data)
	require.NoError(b, err)
	require.NoError(b, v.accept.schema.Validate(doc.Root))
	return v, doc.Root, data
}

func BenchmarkGitHubPush(b *testing.B) {
	v, tree, data := pushDelivery(b)
	b.Run("accept", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := newRun(len(data))
			if r.eval(v.accept, tree) != yes {
				b.Fatal("not accepted")
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := v.accept.schema.Validate(tree); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			doc, err := parse(data)
			if err != nil {
				b.Fatal(err)
			}
			doc.Release()
		}
	})
}
