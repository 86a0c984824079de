package schema

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// files is a schemas folder: path to content.
type files map[string]string

// write puts the files into dir.
func (f files) write(tb testing.TB, dir string) {
	tb.Helper()
	for name, content := range f {
		at := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(tb, os.MkdirAll(filepath.Dir(at), 0o750))
		require.NoError(tb, os.WriteFile(at, []byte(content), 0o600))
	}
}

// load writes the files into a folder of their own and loads it.
func (f files) load(tb testing.TB) (*Set, error) {
	tb.Helper()
	dir := tb.TempDir()
	f.write(tb, dir)
	return Load(dir)
}

// one loads a single event type t with the given schema.
func one(tb testing.TB, schema string) *Set {
	tb.Helper()
	set, err := files{"t/v1.json": schema}.load(tb)
	require.NoError(tb, err)
	return set
}

// refusal unwraps an *event.Error and checks what holds for all of them.
func refusal(tb testing.TB, err error) *event.Error {
	tb.Helper()
	var refused *event.Error
	require.ErrorAs(tb, err, &refused)
	require.Equal(tb, event.NotWritten, refused.Outcome)
	require.NotEmpty(tb, refused.Detail)
	return refused
}

// problems loads a folder that must be refused.
func (f files) problems(tb testing.TB) []string {
	tb.Helper()
	_, err := f.load(tb)
	var failed *LoadError
	require.ErrorAs(tb, err, &failed)
	return failed.Lines()
}
