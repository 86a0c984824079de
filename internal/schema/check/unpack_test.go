package check

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func archive(t *testing.T, headers ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = 1
		}
		require.NoError(t, w.WriteHeader(&h))
		if h.Typeflag == tar.TypeReg {
			_, err := w.Write([]byte("x"))
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	return &b
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, unpack(archive(
		t, tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "c"}},
		tar.Header{Typeflag: tar.TypeDir, Name: "a/"},
		tar.Header{Typeflag: tar.TypeReg, Name: "a/v1.json"},
		tar.Header{Typeflag: tar.TypeReg, Name: "b/c/v1.json"}, // its folder has no entry
		tar.Header{Typeflag: tar.TypeSymlink, Name: "a/v2.json", Linkname: "v1.json"},
	), dir))
	for _, name := range []string{"a/v1.json", "a/v2.json", "b/c/v1.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, "x", string(data))
	}
}

func TestUnpackStaysInside(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]tar.Header{
		"upwards":            {{Typeflag: tar.TypeReg, Name: "../escaped"}},
		"absolute":           {{Typeflag: tar.TypeReg, Name: "/escaped"}},
		"through a link":     {{Typeflag: tar.TypeSymlink, Name: "out", Linkname: ".."}, {Typeflag: tar.TypeReg, Name: "out/escaped"}},
		"over a link":        {{Typeflag: tar.TypeSymlink, Name: "out", Linkname: "../escaped"}, {Typeflag: tar.TypeReg, Name: "out"}},
		"a folder by a link": {{Typeflag: tar.TypeSymlink, Name: "out", Linkname: ".."}, {Typeflag: tar.TypeDir, Name: "out/escaped"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir := filepath.Join(parent, "target")
			require.NoError(t, os.Mkdir(dir, 0o700))
			require.Error(t, unpack(archive(t, headers...), dir))
			require.NoFileExists(t, filepath.Join(parent, "escaped"))
			require.NoDirExists(t, filepath.Join(parent, "escaped"))
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, unpack(bytes.NewBufferString("no archive"), t.TempDir()), "read archive")
	require.ErrorContains(t, unpack(&bytes.Buffer{}, filepath.Join(t.TempDir(), "none")), "open ")

	var huge bytes.Buffer
	require.NoError(t, tar.NewWriter(&huge).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: maxArchiveBytes + 1}))
	require.ErrorContains(t, unpack(&huge, t.TempDir()), "is it the right folder?")
}
