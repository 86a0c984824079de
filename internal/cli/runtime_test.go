package cli

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGCPercent(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 400, 20 << 20: 400, 64 << 20: 200, 128 << 20: 100, 4 << 30: 100} {
		require.Equal(t, want, gcPercentFor(live), "%d bytes live", live)
	}
}

func TestAddProcessor(t *testing.T) {
	usual := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { runtime.GOMAXPROCS(usual) })

	t.Setenv("GOMAXPROCS", "7") // read at the start of the process only
	addProcessor()
	require.Equal(t, usual, runtime.GOMAXPROCS(0), "what the operator set stays")

	t.Setenv("GOMAXPROCS", "")
	addProcessor()
	require.Equal(t, usual+1, runtime.GOMAXPROCS(0))
}
