//go:build race

package lag

// raceDetector says that figures of CPU time mean nothing.
const raceDetector = true
