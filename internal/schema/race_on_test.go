//go:build race

package schema

// raceEnabled is whether the race detector runs, which makes everything many times slower.
const raceEnabled = true
