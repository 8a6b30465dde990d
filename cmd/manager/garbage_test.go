package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestGCPercent(t *testing.T) {
	const mebi = 1 << 20
	for live, want := range map[uint64]int{
		0: 400, 1: 400, 10 * mebi: 400, 16 * mebi: 400, 32 * mebi: 200, 64 * mebi: 100, 128 * mebi: 50, 256 * mebi: 25, 4096 * mebi: 25,
	} {
		if got := gcPercent(live); got != want {
			t.Errorf("%d bytes are live: %d%%, want %d%%", live, got, want)
		}
	}
}

// awaitGCPercent collects garbage until the runtime has another percentage than
// before, and returns that.
func awaitGCPercent(t *testing.T, before int) int {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		runtime.GC()
		runtime.Gosched()
		now := debug.SetGCPercent(before)
		if now != before {
			return now
		}
	}
	t.Fatalf("it is still %d%%", before)
	return 0
}

// The percentage follows the heap, again and again.
func TestPaceGarbageCollection(t *testing.T) {
	t.Setenv("GOGC", "")
	if err := os.Unsetenv("GOGC"); err != nil {
		t.Fatal(err)
	}
	before := debug.SetGCPercent(77)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	paceGarbageCollection(t.Context())
	small := awaitGCPercent(t, 77)
	held := make([]byte, 200<<20)
	if large := awaitGCPercent(t, 77); large >= small || large > 32 {
		t.Errorf("%d%% with a small heap, %d%% with 200 MiB more", small, large)
	}
	runtime.KeepAlive(held)
}

func TestGarbageCollectionOfTheOperator(t *testing.T) {
	t.Setenv("GOGC", "55")
	before := debug.SetGCPercent(55)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	paceGarbageCollection(t.Context())
	if got := debug.SetGCPercent(55); got != 55 {
		t.Errorf("GOGC=55 became %d%%", got)
	}
}
