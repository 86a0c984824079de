package rate

import (
	"math"
	"strconv"
	"time"
)

// chunkTime is how much of the rate is taken from the store at once. With it a client
// costs the store at most 20 refills a second from each gateway.
const chunkTime = 50 * time.Millisecond

// Limit is Count calls per Per. The zero Limit means that there is no limit.
type Limit struct {
	Count int
	Per   time.Duration // whole seconds
}

// IsZero reports whether there is no limit.
func (l Limit) IsZero() bool { return l.Count <= 0 || l.Per <= 0 }

// Burst is how many calls may come at once after a pause: one second's worth, and at
// least one.
func (l Limit) Burst() int { return max(l.in(time.Second, math.Ceil), 1) }

// chunk is how many tokens are taken from the store at once, at most.
func (l Limit) chunk() int { return max(l.in(chunkTime, math.Floor), 1) }

func (l Limit) in(d time.Duration, round func(float64) float64) int {
	return int(round(float64(l.Count) * float64(d) / float64(l.Per)))
}

// span is how long n tokens take to come.
func (l Limit) span(n float64) time.Duration {
	return time.Duration(math.Ceil(n * float64(l.Per) / float64(l.Count)))
}

// over is how many tokens come in d.
func (l Limit) over(d time.Duration) float64 {
	return float64(l.Count) * float64(d) / float64(l.Per)
}

// key distinguishes limits: calls counted under one limit do not count under another.
func (l Limit) key() string {
	return strconv.Itoa(l.Count) + "/" + strconv.Itoa(int(l.Per/time.Second))
}
