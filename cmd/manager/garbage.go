package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// spareHeap is how much the heap may grow before a collection.
	spareHeap = 64 << 20
	// leastPercent bounds the time that collections of a large heap take; mostPercent
	// keeps a small heap small.
	leastPercent, mostPercent = 25, 400
	// liveHeap is the size of the heap after the last collection.
	liveHeap = "/gc/heap/live:bytes"
)

// paceGarbageCollection starts a collection whenever the heap has grown by about
// spareHeap, whatever its size, until ctx ends. By default the heap may double. For a
// small heap that means frequent collections, a quarter of all CPU while Jobs are stored.
// For tens of thousands of cached Jobs it means hundreds of MiB of unused memory. GOGC in
// the environment takes precedence.
func paceGarbageCollection(ctx context.Context) {
	if _, own := os.LookupEnv("GOGC"); !own {
		pace(ctx)
	}
}

// collected is an unreferenced object: its cleanup runs after the next collection. It has
// a pointer, since small objects without one may share memory with others.
type collected struct{ _ *collected }

// pace sets how much the heap may grow from its live size, now and after each collection.
func pace(ctx context.Context) {
	sample := []metrics.Sample{{Name: liveHeap}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 || ctx.Err() != nil {
		return
	}
	debug.SetGCPercent(gcPercent(sample[0].Value.Uint64()))
	runtime.AddCleanup(new(collected), func(struct{}) { pace(ctx) }, struct{}{})
}

// gcPercent returns how much a heap with this many live bytes may grow, in percent.
func gcPercent(live uint64) int {
	if live == 0 {
		return mostPercent
	}
	return int(min(max(100*spareHeap/live, leastPercent), mostPercent))
}
