// Package report turns the figures of rounds into medians, ratios, verdicts, a
// table and a JSON file. It has no effects other than writing those.
package report

import (
	"fmt"
	"math"
	"slices"
)

// Spread is the median of rounds with the least and the greatest of them.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// NewSpread is zero for no values; NaN values (a round without events) are left
// out.
func NewSpread(values []float64) Spread {
	sorted := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(sorted) == 0 {
		return Spread{}
	}
	slices.Sort(sorted)
	return Spread{Median: median(sorted), Min: sorted[0], Max: sorted[len(sorted)-1]}
}

func median(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// Ratios divides round by round, so that what slows a whole round cancels out.
// A division by zero gives NaN.
func Ratios(candidate, base []float64) []float64 {
	out := make([]float64, min(len(candidate), len(base)))
	for i := range out {
		out[i] = math.NaN()
		if base[i] != 0 {
			out[i] = candidate[i] / base[i]
		}
	}
	return out
}

// Slope is Theil and Sen's: the median of the slopes of all pairs of points. A
// few garbage-collection peaks do not move it, as they would a least-squares
// line. Zero for fewer than two distinct x.
func Slope(x, y []float64) float64 {
	var slopes []float64
	for i := range x {
		for j := range i {
			if x[i] != x[j] {
				slopes = append(slopes, (y[i]-y[j])/(x[i]-x[j]))
			}
		}
	}
	if len(slopes) == 0 {
		return 0
	}
	slices.Sort(slopes)
	return median(slopes)
}

// Verdict is one target and whether it was met.
type Verdict struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Bound string  `json:"bound"` // at most, at least
	Limit float64 `json:"limit"`
	Pass  bool    `json:"pass"`
}

// AtMost passes a value up to the limit; a missing figure (NaN, or zero where
// zero cannot be measured) never passes.
func AtMost(name string, value, limit float64) Verdict {
	return Verdict{Name: name, Value: value, Bound: "at most", Limit: limit, Pass: value > 0 && value <= limit}
}

// AtLeast passes a value from the limit on.
func AtLeast(name string, value, limit float64) Verdict {
	return Verdict{Name: name, Value: value, Bound: "at least", Limit: limit, Pass: value >= limit && limit > 0}
}

func (v Verdict) String() string {
	word := "FAIL"
	if v.Pass {
		word = "PASS"
	}
	return fmt.Sprintf("%s  %s: %.3g, %s %.3g", word, v.Name, v.Value, v.Bound, v.Limit)
}
