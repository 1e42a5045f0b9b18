//go:build !race

package checks

// raceDetector is whether the tests run under it, which takes a multiple of
// the memory.
const raceDetector = false
