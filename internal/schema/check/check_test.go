package check

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/schema"
	"eventgateway/internal/schema/compat"
)

// files is a schemas folder: path to content.
type files map[string]string

// in writes the files into dir and returns it.
func (f files) in(tb testing.TB, dir string) string {
	tb.Helper()
	for name, content := range f {
		at := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(tb, os.MkdirAll(filepath.Dir(at), 0o750))
		require.NoError(tb, os.WriteFile(at, []byte(content), 0o600))
	}
	return dir
}

const plain = `{"x-event":{"key":null}}`

func TestRun(t *testing.T) {
	t.Parallel()
	before := files{"a/v1.json": plain, "b/v1.json": plain}
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		dir := files{"a/v1.json": plain, "a/v2.json": `{"x-event":{"key":"/id"}}`}.in(t, t.TempDir())
		r, err := Run(t.Context(), Config{Dir: dir, Compatibility: Full, Strict: true})
		require.NoError(t, err)
		require.True(t, r.Summary.OK, "a new version may break")
		require.Len(t, r.Changes, 1)
		require.Equal(t, Note, r.Changes[0].Severity)
		require.Equal(t, "v1", r.Changes[0].Since)
		require.Equal(t, Summary{OK: true, Dir: dir, EventTypes: 1, Versions: 2, Notes: 1}, r.Summary)
	})
	t.Run("against a folder", func(t *testing.T) {
		t.Parallel()
		dir := files{"a/v1.json": `{"x-event":{"key":"/id"}}`, "b/v1.json": plain, "c/v1.json": plain}.in(t, t.TempDir())
		old := before.in(t, t.TempDir())
		r, err := Run(t.Context(), Config{Dir: dir, Against: old, Compatibility: Backward})
		require.NoError(t, err)
		require.Equal(t, Summary{
			Dir: dir, Against: old, Compatibility: Backward,
			EventTypes: 3, Versions: 3, Errors: 1, Notes: 1,
		}, r.Summary)
	})
	t.Run("nothing to compare with because the folder does not load", func(t *testing.T) {
		t.Parallel()
		dir := files{"a/v1.json": `{"x-event":{}}`, "b/v1.json": `{`}.in(t, t.TempDir())
		r, err := Run(t.Context(), Config{Dir: dir, Against: before.in(t, t.TempDir()), Compatibility: Backward})
		require.NoError(t, err)
		require.False(t, r.Summary.OK)
		require.Len(t, r.Problems, 2)
		require.Equal(t, filepath.ToSlash(filepath.Join(dir, "a/v1.json")), r.Problems[0].File)
		require.Equal(t, 1, r.Problems[0].Line)
		require.Empty(t, r.Changes)
	})
	t.Run("the older state does not load", func(t *testing.T) {
		t.Parallel()
		_, err := Run(t.Context(), Config{Dir: before.in(t, t.TempDir()), Against: t.TempDir(), Compatibility: Backward})
		require.ErrorContains(t, err, "nothing can be compared with ")
		require.ErrorContains(t, err, "holds no event type")
		require.ErrorContains(t, err, "name a state that loads with --against")
	})
}

func TestSeverity(t *testing.T) {
	t.Parallel()
	change := func(direction compat.Direction, verdict compat.Verdict) schema.Change {
		return schema.Change{Direction: direction, Verdict: verdict}
	}
	since := change(schema.Both, compat.Breaking)
	since.Since = "v1"
	for name, tc := range map[string]struct {
		cfg    Config
		change schema.Change
		want   Severity
	}{
		"backward, as demanded":         {Config{Compatibility: Backward}, change(compat.Backward, compat.Breaking), Error},
		"forward, not demanded":         {Config{Compatibility: Backward}, change(compat.Forward, compat.Breaking), Note},
		"forward, as demanded":          {Config{Compatibility: Forward}, change(compat.Forward, compat.Breaking), Error},
		"backward, not demanded":        {Config{Compatibility: Forward}, change(compat.Backward, compat.Breaking), Note},
		"backward under full":           {Config{Compatibility: Full}, change(compat.Backward, compat.Breaking), Error},
		"forward under full":            {Config{Compatibility: Full}, change(compat.Forward, compat.Breaking), Error},
		"both under backward":           {Config{Compatibility: Backward}, change(schema.Both, compat.Breaking), Error},
		"both under forward":            {Config{Compatibility: Forward}, change(schema.Both, compat.Breaking), Error},
		"both under none":               {Config{Compatibility: None}, change(schema.Both, compat.Breaking), Note},
		"cannot tell":                   {Config{Compatibility: Backward}, change(compat.Backward, compat.CannotTell), Warning},
		"cannot tell, strict":           {Config{Compatibility: Backward, Strict: true}, change(compat.Backward, compat.CannotTell), Error},
		"cannot tell, not demanded":     {Config{Compatibility: Backward, Strict: true}, change(compat.Forward, compat.CannotTell), Note},
		"cannot tell under none":        {Config{Compatibility: None, Strict: true}, change(schema.Both, compat.CannotTell), Note},
		"new":                           {Config{Compatibility: Full, Strict: true}, change("", compat.Compatible), Note},
		"between versions, even strict": {Config{Compatibility: Full, Strict: true}, since, Note},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, tc.cfg.severity(tc.change))
		})
	}
}

func TestDisplay(t *testing.T) {
	t.Parallel()
	cwd, err := os.Getwd()
	require.NoError(t, err)
	outside := t.TempDir()
	for name, tc := range map[string]struct{ dir, file, want string }{
		"relative":         {"schemas", "a/v1.json", "schemas/a/v1.json"},
		"the folder":       {"./schemas/", "", "schemas"},
		"upwards":          {"../x", "a/v1.json", "../x/a/v1.json"},
		"absolute, inside": {filepath.Join(cwd, "schemas"), "a/v1.json", "schemas/a/v1.json"},
		"absolute, beside": {cwd + "-2", "a/v1.json", filepath.ToSlash(cwd) + "-2/a/v1.json"},
		"absolute, away":   {outside, "a/v1.json", filepath.ToSlash(outside) + "/a/v1.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, display(tc.dir, tc.file))
		})
	}
}
