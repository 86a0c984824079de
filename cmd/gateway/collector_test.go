package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGCPercent(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 400, 20 << 20: 400, 64 << 20: 200, 128 << 20: 100, 4 << 30: 100} {
		require.Equal(t, want, gcPercentFor(live), "%d bytes live", live)
	}
}
