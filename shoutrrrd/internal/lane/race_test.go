//go:build race

package lane_test

// The race detector makes a world eight times slower, and there is one thread.
const replays = 60
