package mutations

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/test/services"
)

// TestMutationsApply: the code has not moved away from under the table.
func TestMutationsApply(t *testing.T) {
	t.Parallel()
	root, err := services.RepoRoot()
	require.NoError(t, err)
	for _, m := range Table() {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			require.NotEmpty(t, m.Edits)
			dir := t.TempDir()
			require.NoError(t, copySources(root, dir))
			require.NoError(t, m.Apply(dir))
		})
	}
}

func TestApplyInsistsOnOneSnippet(t *testing.T) {
	t.Parallel()
	m := Mutation{Name: "m", Edits: []Edit{{File: "a.go", Old: "x", New: "y"}}}
	for name, c := range map[string]struct{ text, want, err string }{
		"once":  {"a x b", "a y b", ""},
		"twice": {"x x", "x x", "2 times, not once"},
		"never": {"a", "a", "0 times, not once"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.go")
			require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
			err := m.Apply(filepath.Dir(path))
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.err)
			}
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, c.want, string(raw))
		})
	}
}
