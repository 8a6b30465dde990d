// Package allocated measures how much memory a function allocates. Tests of decoders
// use it: memory must stay in proportion to the input.
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
