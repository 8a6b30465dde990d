package jobtest

import "time"

// Bounds of waits in suites on a real API server. They are for what hangs: on an
// idle machine the same takes milliseconds, on a slow and busy one seconds.
const (
	// Soon bounds the wait for one effect, such as a write that a controller makes.
	Soon = 2 * time.Minute
	// SpecTimeout bounds a spec that waits for several.
	SpecTimeout = 6 * time.Minute
)
