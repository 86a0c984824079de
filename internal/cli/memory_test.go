package cli

import (
	"bytes"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/config"
)

func TestContainerMemory(t *testing.T) {
	t.Parallel()
	const v1 = "9223372036854771712\n" // no limit
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"version 2, own namespace": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "536870912\n"}, 512 << 20},
		"version 2, a pod in a slice": {map[string]string{
			"proc/self/cgroup":                       "0::/kubepods/pod1/c1\n",
			"sys/fs/cgroup/kubepods/pod1/memory.max": "300000000\n", "sys/fs/cgroup/kubepods/pod1/c1/memory.max": "max\n",
		}, 300_000_000},
		"version 2, no limit": {map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 0},
		"version 1": {map[string]string{
			"proc/self/cgroup": "9:name=systemd:/\n4:memory:/docker/abc\n0::/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": v1,
			"sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "1000000000\n",
		}, 1_000_000_000},
		"version 1, the host's path, the container's folder": {map[string]string{
			"proc/self/cgroup": "4:memory:/docker/abc\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "200000000\n",
		}, 200_000_000},
		"version 1, no limit": {map[string]string{"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": v1}, 0},
		"no cgroups":          {map[string]string{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for path, text := range c.files {
				path = filepath.Join(root, path)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			}
			require.Equal(t, c.want, containerMemory(root))
		})
	}
}

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key, inFlight, container config.Size
		want                     config.Size
		from                     string
	}{
		"nothing said":                 {0, 256 * config.MiB, 0, config.GiB, "default"},
		"a small container":            {0, 256 * config.MiB, 512 * config.MiB, 512 * config.MiB, "container"},
		"a large container":            {0, 256 * config.MiB, 64 * config.GiB, config.GiB, "default"},
		"much in flight":               {0, config.GiB, 64 * config.GiB, 4 * config.GiB, "default"},
		"the key":                      {300 * config.MiB, 256 * config.MiB, 512 * config.MiB, 300 * config.MiB, "memory.limit"},
		"the key, above the container": {2 * config.GiB, 256 * config.MiB, 512 * config.MiB, 512 * config.MiB, "container"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config.Defaults()
			cfg.Memory.Limit, cfg.HTTP.InFlightLimit = c.key, c.inFlight
			limit, from := memoryLimit(cfg, c.container)
			require.Equal(t, c.want, limit)
			require.Equal(t, c.from, from)
		})
	}
}

// The collector and http.in_flight_limit follow the limit of the process.
func TestFitMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	t.Setenv("GOMEMLIMIT", "")
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))

	cfg := config.Defaults()
	cfg.Memory.Limit = 500 * config.MiB
	require.Equal(t, 500*config.MiB, fitMemory(cfg, logger))
	require.EqualValues(t, 400*config.MiB, debug.SetMemoryLimit(-1))
	require.Equal(t, 125*config.MiB, cfg.HTTP.InFlightLimit)
	require.Contains(t, log.String(), "in_flight_limit is lowered")

	log.Reset()
	cfg = config.Defaults()
	cfg.Memory.Limit, cfg.HTTP.BodyLimit, cfg.HTTP.InFlightLimit = 200*config.MiB, 90*config.MiB, 100*config.MiB
	fitMemory(cfg, logger)
	require.Equal(t, 90*config.MiB, cfg.HTTP.InFlightLimit, "the largest body must be let in")

	log.Reset()
	t.Setenv("GOMEMLIMIT", "read at the start of the process only")
	debug.SetMemoryLimit(int64(800 * config.MiB))
	cfg = config.Defaults()
	require.Equal(t, 1000*config.MiB, fitMemory(cfg, logger))
	require.EqualValues(t, 800*config.MiB, debug.SetMemoryLimit(-1), "what the operator set stays")
	require.Equal(t, 250*config.MiB, cfg.HTTP.InFlightLimit)

	debug.SetMemoryLimit(math.MaxInt64)
	cfg = config.Defaults()
	fitMemory(cfg, logger)
	require.Equal(t, 256*config.MiB, cfg.HTTP.InFlightLimit, "GOMEMLIMIT=off")
}
