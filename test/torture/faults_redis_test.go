package torture

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadSnapshot(t *testing.T) {
	t.Parallel()
	mark := strings.Repeat("a", 20) + strings.Repeat("b", 20)
	for name, c := range map[string]struct{ sent, err string }{
		"by length":        {"\n\n$5\r\nREDISnext", ""},
		"by mark":          {"\n$EOF:" + mark + "\r\nRED" + mark[:30] + "aa" + mark + "next", ""},
		"more than buffer": {"$EOF:" + mark + "\r\n" + strings.Repeat("x", 9000) + mark, ""},
		"refused":          {"-NOPERM no\r\n", "NOPERM"},
		"cut":              {"$5\r\nRE", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := bufio.NewReaderSize(strings.NewReader(c.sent), 64)
			err := readSnapshot(in)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
		})
	}
}

func TestOnlySnapshot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.Error(t, onlySnapshot(dir), "there is none")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dump.rdb"), []byte("REDIS"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "appendonlydir", "appendonly.aof.1.incr.aof"), []byte("*"), 0o600))
	require.NoError(t, onlySnapshot(dir))
	files, err := os.ReadDir(filepath.Join(dir, "appendonlydir"))
	require.NoError(t, err)
	require.Len(t, files, 2)
}
