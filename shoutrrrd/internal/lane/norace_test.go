//go:build !race

package lane_test

const replays = 1000
