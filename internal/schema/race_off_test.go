//go:build !race

package schema

// slowdown is 1 without the race detector.
const slowdown = 1
