//go:build race

package jobtest

// RaceDetector is true where the race detector is on. It has pools forget what
// is in them at times, so that bytes allocated say nothing.
const RaceDetector = true
