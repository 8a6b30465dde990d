// Package allocated measures how much memory a function allocates, for tests of
// decoders: what they allocate for an input must not be out of proportion to it.
package allocated

import (
	"runtime"
	"runtime/debug"
)

// By returns how many bytes were allocated in the process while f ran, those of
// other goroutines included. What is freed meanwhile counts as well.
func By(f func()) int64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}
