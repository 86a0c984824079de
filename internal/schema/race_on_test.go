//go:build race

package schema

// slowdown is how many times slower the race detector makes things, at most.
const slowdown = 20
