package hist

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQuantileIsWithinOneBucketOfTheTruth(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	values := make([]time.Duration, 20_000)
	for i := range values {
		values[i] = time.Duration(math.Exp(r.Float64()*20 + 3)) // 20 ns to 10 s
		h.Record(values[i])
	}
	slices.Sort(values)
	for _, q := range []float64{0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		truth := values[int(math.Ceil(q*float64(len(values))))-1]
		got := h.Quantile(q)
		require.GreaterOrEqual(t, got, truth, "q=%v", q)
		require.LessOrEqual(t, float64(got), float64(truth)*(1+1.0/subSize)+1, "q=%v", q)
	}
	require.Equal(t, values[len(values)-1], h.Max())
	require.Equal(t, uint64(len(values)), h.Count())
}

func TestQuantileOfFewValues(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		values []time.Duration
		q      float64
		want   time.Duration
	}{
		{"none", nil, 0.5, 0},
		{"one", []time.Duration{100}, 0.99, 100},
		{"zero quantile is the least", []time.Duration{7, 3, 5}, 0, 3},
		{"nearest rank of two", []time.Duration{10, 20}, 0.5, 10},
		{"just above the rank", []time.Duration{10, 20}, 0.51, 20},
		{"never above the maximum", []time.Duration{time.Second + 1}, 0.5, time.Second + 1},
		{"negative counts as zero", []time.Duration{-5}, 1, 0},
		{"beyond the range", []time.Duration{time.Hour}, 1, time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var h Histogram
			for _, v := range tt.values {
				h.Record(v)
			}
			require.Equal(t, tt.want, h.Quantile(tt.q))
		})
	}
}

func TestBucketsAreContiguous(t *testing.T) {
	t.Parallel()
	for i := range capacity - 1 {
		edge := upperEdge(i)
		require.Equal(t, i, bucket(edge))
		require.Equal(t, i+1, bucket(edge+1), "the value after %d", edge)
	}
}

func TestMergeEqualsRecordingInOne(t *testing.T) {
	t.Parallel()
	var a, b, all Histogram
	for i := range 1000 {
		d := time.Duration(i * i * 1000)
		all.Record(d)
		if i%3 == 0 {
			a.Record(d)
		} else {
			b.Record(d)
		}
	}
	a.Merge(&b)
	require.Equal(t, all, a)
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	for i := range b.N {
		h.Record(time.Duration(i))
	}
}
