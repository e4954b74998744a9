//go:build race

package prove

// raceDetector reports whether the test was built with the race detector.
const raceDetector = true
