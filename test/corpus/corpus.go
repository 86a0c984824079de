package corpus

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The archives.
const (
	JSONSchemaTests = "json-schema-test-suite"
	GitHubWebhooks  = "github-webhooks"
)

// variable names the folder of the archives.
const variable = "GATEWAY_TEST_CORPUS"

// Files returns the files of an archive by their paths in it, without its top folder. The
// test is skipped if the archive is not there.
func Files(tb testing.TB, name string) map[string][]byte {
	tb.Helper()
	packed, err := os.Open(filepath.Join(folder(tb), name+".tar.gz"))
	if errors.Is(err, fs.ErrNotExist) {
		tb.Skipf("not tested: the folder that %s names (default: ../shared/corpus) has no %s.tar.gz", variable, name)
	}
	require.NoError(tb, err)
	defer func() { _ = packed.Close() }()
	plain, err := gzip.NewReader(packed)
	require.NoError(tb, err)
	found := map[string][]byte{}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(tb, err)
		if header.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(archive)
		require.NoError(tb, err)
		_, inside, _ := strings.Cut(path.Clean(header.Name), "/")
		found[inside] = data
	}
}

// Unpack writes the files of an archive into a folder and returns it.
func Unpack(tb testing.TB, name string) string {
	tb.Helper()
	dir := tb.TempDir()
	for at, data := range Files(tb, name) {
		require.True(tb, filepath.IsLocal(at))
		to := filepath.Join(dir, filepath.FromSlash(at))
		require.NoError(tb, os.MkdirAll(filepath.Dir(to), 0o750))
		require.NoError(tb, os.WriteFile(to, data, 0o600))
	}
	return dir
}

// folder finds ../shared/corpus from the repository's root.
func folder(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv(variable); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	require.NoError(tb, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "..", "shared", "corpus")
		}
		up := filepath.Dir(dir)
		require.NotEqual(tb, dir, up, "no go.mod above this test")
		dir = up
	}
}
