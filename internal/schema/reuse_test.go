package schema

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// reload builds a folder on top of the set before.
func (f files) reload(t *testing.T, before *Set) (*Set, error) {
	t.Helper()
	dir := t.TempDir()
	f.write(t, dir)
	read, _ := steady(dir)
	return build(read, before)
}

func TestReloadTakesOverWhatIsAsBefore(t *testing.T) {
	t.Parallel()
	folder := func(changes files) files {
		f := files{
			"alone/v1.json":     `{` + event1 + `,"properties":{"id":{"type":"string"}}}`,
			"direct/v1.json":    `{` + event1 + `,"properties":{"a":{"$ref":"../_shared/a.json"}}}`,
			"indirect/v1.json":  `{` + event1 + `,"properties":{"b":{"$ref":"../_shared/b.json"}}}`,
			"neighbour/v1.json": `{` + event1 + `,"properties":{"x":{"$ref":"../alone/v1.json"}}}`,
			"embedded/v1.json":  `{` + event1 + `,"$defs":{"e":{"$id":"https://example.com/e"}},"properties":{"x":{"$ref":"https://example.com/e"}}}`,
			"_shared/a.json":    `{"type":"string"}`,
			"_shared/b.json":    `{"properties":{"a":{"$ref":"a.json"}}}`,
		}
		for name, text := range changes {
			if f[name] = text; text == "" {
				delete(f, name)
			}
		}
		return f
	}
	before, err := folder(nil).load(t)
	require.NoError(t, err)
	tests := []struct {
		name    string
		changes files
		kept    []string
	}{
		{"nothing", nil, []string{"alone", "direct", "indirect", "neighbour"}},
		{"one type", files{"direct/v1.json": `{` + event1 + `}`}, []string{"alone", "indirect", "neighbour"}},
		{"one that another refers to", files{"alone/v1.json": `{` + event1 + `}`}, []string{"direct", "indirect"}},
		{"a shared file", files{"_shared/a.json": `{"type":"integer"}`}, []string{"alone", "neighbour"}},
		{"a shared file in between", files{"_shared/b.json": `{}`}, []string{"alone", "direct", "neighbour"}},
		{"a new version", files{"alone/v2.json": `{` + event1 + `}`}, []string{"alone", "direct", "indirect", "neighbour"}},
		{"a type gone", files{"direct/v1.json": ""}, []string{"alone", "indirect", "neighbour"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			after, err := folder(tt.changes).reload(t, before)
			require.NoError(t, err)
			fresh, err := folder(tt.changes).load(t)
			require.NoError(t, err)
			var kept []string
			for _, name := range after.names {
				if old := before.types[name]; old != nil && old.versions[0] == after.types[name].versions[0] {
					kept = append(kept, name)
				}
				for _, data := range []string{`{"id":"1"}`, `{"id":1}`, `{"id":"1","a":"x"}`, `{"id":"1","a":1}`, `{"id":"1","b":{"a":1}}`, `{"id":"1","x":{}}`, `{"id":"1","x":{"id":1}}`} {
					_, got := after.Check(name, "", []byte(data))
					_, want := fresh.Check(name, "", []byte(data))
					require.Equal(t, want, got, "%s %s", name, data)
				}
			}
			require.Equal(t, tt.kept, kept)
		})
	}
}

func TestReloadFindsWhatBroke(t *testing.T) {
	t.Parallel()
	good := files{
		"t/v1.json":      `{` + event1 + `,"properties":{"a":{"$ref":"../_shared/a.json"}},"examples":[{"id":"1","a":"x"}]}`,
		"_shared/a.json": `{"type":"string"}`,
	}
	before, err := good.load(t)
	require.NoError(t, err)
	for name, shared := range map[string]string{"example": `{"type":"integer"}`, "schema": `{"type":"no such"}`, "gone": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := files{"t/v1.json": good["t/v1.json"], "_shared/a.json": shared}
			if shared == "" {
				delete(bad, "_shared/a.json")
			}
			_, got := bad.reload(t, before)
			_, want := bad.load(t)
			require.ErrorContains(t, got, want.(*LoadError).Problems[0].What) //nolint:errorlint // what load returns
		})
	}
}
