package main

import (
	"context"
	"math"
	"os"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"
)

const (
	// memoryRatio is the share of the container's memory for the Go runtime; the rest is
	// for memory that it does not count.
	memoryRatio = 0.9
	// A container can be resized while it runs.
	memoryRefresh = time.Minute
)

// followMemoryLimit sets the garbage collector's memory limit from limit until ctx ends,
// so that it works harder before the kernel kills the process. GOMEMLIMIT in the
// environment takes precedence. Without a known limit the manager still runs.
func followMemoryLimit(ctx context.Context, limit memlimit.Provider, log logr.Logger) {
	bytes, err := memlimit.Set(memlimit.WithProvider(limit), memlimit.WithRatio(memoryRatio),
		memlimit.WithRefreshInterval(ctx, memoryRefresh))
	_, own := os.LookupEnv("GOMEMLIMIT")
	switch {
	case err != nil:
		log.Info("the container's memory limit cannot be read; GOMEMLIMIT can tell it", "error", err.Error())
	case own:
		log.V(1).Info("the Go runtime has the memory limit of GOMEMLIMIT", "bytes", bytes)
	case bytes == math.MaxInt64:
		log.V(1).Info("the Go runtime has no memory limit, since the container has none")
	default:
		log.V(1).Info("the Go runtime has its share of the container's memory limit", "bytes", bytes)
	}
}
