package check

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository is a clone with two commits: the tag "before" holds old, the
// working tree now. The schemas folder is at/.
type repository struct {
	tb  testing.TB
	top string
}

func newRepository(tb testing.TB) repository {
	tb.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		tb.Skip("git is not installed")
	}
	r := repository{tb, tb.TempDir()}
	r.git("init", "--quiet", "--initial-branch=main")
	return r
}

func (r repository) git(args ...string) {
	r.tb.Helper()
	cmd := exec.Command("git", append([]string{
		"-C", r.top, "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false",
	}, args...)...)
	out, err := cmd.CombinedOutput()
	require.NoError(r.tb, err, string(out))
}

// commit records the working tree under a tag.
func (r repository) commit(tag string) {
	r.tb.Helper()
	r.git("add", "--all")
	r.git("commit", "--quiet", "--allow-empty", "--message", tag)
	r.git("tag", tag)
}

func TestAgainstGit(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]string{"a folder": "schemas", "deep": "services/shop/event types", "the whole repository": "."} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			dir := files{"a/v1.json": plain, "b/v1.json": plain}.in(t, filepath.Join(r.top, at))
			r.commit("before")
			files{"a/v1.json": `{"x-event":{"key":null,"topic":"elsewhere"}}`}.in(t, dir)
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "b")))
			result, err := Run(t.Context(), Config{Dir: dir, Against: "before", Compatibility: Backward})
			require.NoError(t, err)
			require.Equal(t, 2, result.Summary.Errors)
			require.Equal(t, "/x-event/topic", result.Changes[0].Pointer)
			require.Equal(t, "b", result.Changes[1].EventType)

			same, err := Run(t.Context(), Config{Dir: dir, Against: "HEAD~0", Compatibility: None})
			require.NoError(t, err)
			require.True(t, same.Summary.OK)
			require.Equal(t, 2, same.Summary.Notes)
		})
	}
}

func TestAgainstGitWithLinks(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	dir := files{"a/v1.json": plain}.in(t, filepath.Join(r.top, "schemas"))
	require.NoError(t, os.Symlink("v1.json", filepath.Join(dir, "a", "v2.json")))
	require.NoError(t, os.Symlink("schemas", filepath.Join(r.top, "link")))
	r.commit("before")
	for name, from := range map[string]string{"inside": dir, "the folder itself": filepath.Join(r.top, "link")} {
		result, err := Run(t.Context(), Config{Dir: from, Against: "before", Compatibility: Full, Strict: true})
		require.NoError(t, err, name)
		require.Empty(t, result.Changes, name)
		require.Equal(t, 2, result.Summary.Versions, name)
	}
	// A link out of the folder is refused, as it is in the working tree.
	require.NoError(t, os.Symlink("../../secret", filepath.Join(dir, "a", "v3.json")))
	r.commit("leaves")
	require.NoError(t, os.Remove(filepath.Join(dir, "a", "v3.json")))
	_, err := Run(t.Context(), Config{Dir: dir, Against: "leaves", Compatibility: Full})
	require.ErrorContains(t, err, "a symbolic link must be relative and stay inside the schemas folder")
	require.ErrorContains(t, err, "load schemas from leaves")
}

func TestAgainstGitWithoutTheFolder(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.commit("empty")
	dir := files{"a/v1.json": plain}.in(t, filepath.Join(r.top, "schemas"))
	result, err := Run(t.Context(), Config{Dir: dir, Against: "empty", Compatibility: Backward})
	require.NoError(t, err)
	require.True(t, result.Summary.OK, "the first commit of a schemas folder must pass")
	require.Equal(t, 1, result.Summary.Warnings)
	require.Contains(t, result.Changes[0].Message, "empty has no such folder, so nothing was compared")
	result, err = Run(t.Context(), Config{Dir: dir, Against: "empty", Compatibility: Backward, Strict: true})
	require.NoError(t, err)
	require.False(t, result.Summary.OK)

	require.NoError(t, os.Rename(dir, dir+"2"))
	require.NoError(t, os.WriteFile(dir, nil, 0o600))
	r.commit("a-file")
	require.NoError(t, os.Remove(dir))
	require.NoError(t, os.Rename(dir+"2", dir))
	_, err = Run(t.Context(), Config{Dir: dir, Against: "a-file", Compatibility: Backward})
	require.ErrorContains(t, err, "is a file or a symbolic link at commit")
}

func TestAgainstGitFails(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	dir := files{"a/v1.json": plain}.in(t, filepath.Join(r.top, "schemas"))
	r.commit("before")
	elsewhere := files{"a/v1.json": plain}.in(t, t.TempDir())
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	for name, tc := range map[string]struct {
		ctx          context.Context
		dir, against string
		want         []string
	}{
		"unknown ref":     {t.Context(), dir, "origin/main", []string{"--against origin/main", "git knows no such commit", "git fetch --depth=1 origin"}},
		"an option":       {t.Context(), dir, "--upload-pack=x", []string{"no branch, tag or commit starts with"}},
		"a folder in one": {t.Context(), dir, "before:schemas", []string{"git knows no such commit"}},
		"no repository":   {t.Context(), elsewhere, "main", []string{"there is no such folder", elsewhere + " is in no git repository", "run this inside a clone", "git says: "}},
		"interrupted":     {canceled, dir, "before", []string{"ask git about before: context canceled"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Run(tc.ctx, Config{Dir: tc.dir, Against: tc.against, Compatibility: Backward})
			for _, text := range tc.want {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

// Not parallel: the environment belongs to the process.
func TestAgainstGitAndTheEnvironment(t *testing.T) {
	r := newRepository(t)
	dir := files{"a/v1.json": plain}.in(t, filepath.Join(r.top, "schemas"))
	r.commit("before")
	t.Run("in a hook", func(t *testing.T) {
		t.Setenv("GIT_DIR", ".git") // relative to the top, as git sets it
		t.Setenv("GIT_INDEX_FILE", ".git/index")
		result, err := Run(t.Context(), Config{Dir: dir, Against: "before", Compatibility: Backward})
		require.NoError(t, err)
		require.Empty(t, result.Changes)
	})
	t.Run("without git", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := Run(t.Context(), Config{Dir: dir, Against: "before", Compatibility: Backward})
		require.ErrorContains(t, err, "git is not installed")
	})
}
