package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// spareHeap is by how many bytes the heap may grow until garbage is collected.
	spareHeap = 64 << 20
	// leastPercent keeps a collector busy for no more than a part of the time where
	// much is cached, and mostPercent a small heap small.
	leastPercent, mostPercent = 25, 400
	// liveHeap is what the last collection left.
	liveHeap = "/gc/heap/live:bytes"
)

// paceGarbageCollection has garbage be collected whenever the heap has grown by
// about spareHeap, whatever its size, until ctx ends. By default it may double:
// with a small one that is often, a quarter of all CPU while Jobs are stored, and
// with tens of thousands of Jobs in the cache it is hundreds of MiB that nobody
// uses. GOGC in the environment counts for more.
func paceGarbageCollection(ctx context.Context) {
	if _, own := os.LookupEnv("GOGC"); !own {
		pace(ctx)
	}
}

// collected is an object that nobody holds, so that its cleanup runs after the next
// collection. It has a pointer, since objects without one may be kept by others.
type collected struct{ _ *collected }

// pace sets how much the heap may grow by what is live, now and after each
// collection.
func pace(ctx context.Context) {
	sample := []metrics.Sample{{Name: liveHeap}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 || ctx.Err() != nil {
		return
	}
	debug.SetGCPercent(gcPercent(sample[0].Value.Uint64()))
	runtime.AddCleanup(new(collected), func(struct{}) { pace(ctx) }, struct{}{})
}

// gcPercent returns how much a heap of which so many bytes are live may grow, in
// percent of them.
func gcPercent(live uint64) int {
	if live == 0 {
		return mostPercent
	}
	return int(min(max(100*spareHeap/live, leastPercent), mostPercent))
}
