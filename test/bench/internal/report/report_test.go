package report

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"eventgateway/test/bench/internal/load"

	"github.com/stretchr/testify/require"
)

func TestNewSpread(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   []float64
		want Spread
	}{
		{"none", nil, Spread{}},
		{"one", []float64{4}, Spread{4, 4, 4}},
		{"odd, unsorted", []float64{9, 1, 5}, Spread{5, 1, 9}},
		{"even", []float64{4, 1, 2, 10}, Spread{3, 1, 10}},
		{"without NaN", []float64{math.NaN(), 2}, Spread{2, 2, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, NewSpread(tt.in))
		})
	}
	in := []float64{3, 1, 2}
	NewSpread(in)
	require.Equal(t, []float64{3, 1, 2}, in, "rounds keep their order")
}

// A machine that slows down by half between rounds must not show in the ratio,
// though it does in both medians.
func TestRatiosArePairedByRound(t *testing.T) {
	t.Parallel()
	base, candidate := []float64{10, 20, 40}, []float64{15, 30, 60}
	require.Equal(t, Spread{1.5, 1.5, 1.5}, NewSpread(Ratios(candidate, base)))
	require.True(t, math.IsNaN(Ratios([]float64{1}, []float64{0})[0]))
	require.Len(t, Ratios([]float64{1, 2}, []float64{1}), 1)
}

func TestSlope(t *testing.T) {
	t.Parallel()
	x := []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	tests := []struct {
		name string
		y    []float64
		want float64
	}{
		{"flat", []float64{5, 5, 5, 5, 5, 5, 5, 5, 5, 5}, 0},
		{"rising", []float64{0, 2, 4, 6, 8, 10, 12, 14, 16, 18}, 2},
		{"flat but for a last peak", []float64{5, 5, 5, 5, 5, 5, 5, 5, 5, 500}, 0},
		{"falling", []float64{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.InDelta(t, tt.want, Slope(x, tt.y), 1e-9)
		})
	}
	require.Zero(t, Slope([]float64{1}, []float64{1}))
	require.Zero(t, Slope([]float64{1, 1}, []float64{1, 2}))
}

func TestAtMost(t *testing.T) {
	t.Parallel()
	require.True(t, AtMost("x", 1.8, 1.8).Pass)
	require.False(t, AtMost("x", 1.81, 1.8).Pass)
	require.False(t, AtMost("x", math.NaN(), 1.8).Pass)
	require.False(t, AtMost("x", 0, 1.8).Pass, "nothing was measured")
	require.Equal(t, "FAIL  x: 2, at most 1.8", AtMost("x", 2, 1.8).String())
}

func TestWriteTable(t *testing.T) {
	t.Parallel()
	round := func(p50, cpu float64) load.Result {
		return load.Result{Latency: load.Latency{P50: p50}, CPUPerEvent: cpu, SendDelay: &load.Latency{P50: 7}}
	}
	s := Scenario{
		Name: "open loop, 10/s", Rate: 10,
		Base:      []load.Result{round(100, 20), round(200, 20), round(300, 20)},
		Candidate: []load.Result{round(150, 30), round(400, 40), round(330, 50)},
	}
	var out strings.Builder
	require.NoError(t, WriteTable(&out, "floor", "gateway", []Scenario{s}))
	lines := make(map[string]string)
	for line := range strings.Lines(out.String()) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), "  ")
		lines[name] = strings.Join(strings.Fields(rest), " ")
	}
	require.Equal(t, "200 (100..300) 330 (150..400) 1.50 (1.10..2.00)", lines[LatencyP50])
	require.Equal(t, "20.00 (20.00..20.00) 40.00 (30.00..50.00) 2.00 (1.50..2.50)", lines[CPUPerEvent])
	require.Contains(t, lines, sendDelay.Name)
	require.Contains(t, out.String(), "gateway/floor")
}

func TestWriteJSON(t *testing.T) {
	t.Parallel()
	path, err := WriteJSON(t.TempDir()+"/new", "x.json", map[string]int{"a": 1})
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, json.Valid(text))
	_, err = WriteJSON(t.TempDir(), "x.json", math.NaN())
	require.Error(t, err)
}
