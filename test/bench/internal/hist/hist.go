// Package hist counts latencies in log-linear buckets of fixed size. A
// histogram has one writer; merge after the writers have stopped.
package hist

import (
	"math/bits"
	"time"
)

const (
	// subBits gives 128 buckets per power of two: a quantile is at most
	// 1/128 (0.8 %) above the true value.
	subBits = 7
	subSize = 1 << subBits
	// maxBits caps a value at 2^40 ns (18 minutes), longer than any request.
	maxBits  = 40
	capacity = (maxBits-subBits+1)*subSize + 1
)

// Histogram is ready for use as its zero value.
type Histogram struct {
	counts [capacity]uint64
	total  uint64
	max    time.Duration
}

// Record counts one latency; a negative one counts as zero.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(d)]++
	h.total++
	h.max = max(h.max, d)
}

// Merge adds the counts of o.
func (h *Histogram) Merge(o *Histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.total += o.total
	h.max = max(h.max, o.max)
}

// Count is the number of recorded latencies.
func (h *Histogram) Count() uint64 { return h.total }

// Max is the greatest recorded latency, exact.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is the upper edge of the bucket that holds the q-quantile (nearest
// rank), never above Max; zero when nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := uint64(q * float64(h.total))
	if float64(rank) < q*float64(h.total) || rank == 0 {
		rank++
	}
	var seen uint64
	for i, c := range h.counts {
		seen += c
		if seen >= rank && i < capacity-1 {
			return min(upperEdge(i), h.max)
		}
	}
	return h.max // in the last bucket, which has no upper edge
}

// bucket maps a latency to its index: exact below subSize nanoseconds, then
// subSize buckets for each power of two.
func bucket(d time.Duration) int {
	v := uint64(d)
	if v < subSize {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	if shift > maxBits-subBits-1 {
		return capacity - 1
	}
	return shift*subSize + int(v>>shift)
}

func upperEdge(i int) time.Duration {
	if i < 2*subSize {
		return time.Duration(i)
	}
	shift := i/subSize - 1
	return time.Duration((uint64(i%subSize+subSize)+1)<<shift - 1)
}
