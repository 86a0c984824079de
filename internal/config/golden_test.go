package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestErrorsGolden loads each testdata/errors/*.yaml and compares the whole report.
// Lines "# env NAME=value" at the top of a file are its environment.
func TestErrorsGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/errors/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			var environ []string
			for line := range strings.Lines(string(data)) {
				if entry, ok := strings.CutPrefix(line, "# env "); ok {
					environ = append(environ, strings.TrimSuffix(entry, "\n"))
				}
			}

			cfg, err := load("gateway.yaml", data, environ)

			require.Nil(t, cfg)
			var errs Errors
			require.ErrorAs(t, err, &errs)
			require.NotContains(t, err.Error(), "hunter2")
			require.NotContains(t, err.Error(), "not-to-be-shown")
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(err.Error()+"\n"), 0o600))
			}
			want, readErr := os.ReadFile(golden)
			require.NoError(t, readErr)
			require.Equal(t, string(want), err.Error()+"\n")
		})
	}
}
