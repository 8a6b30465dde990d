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

// awaitGCPercent collects garbage until the runtime has been given a percentage
// that is wanted. What is seen meanwhile may be of an earlier collection: a busy
// machine is late to say that one has ended.
func awaitGCPercent(t *testing.T, what string, wanted func(percent int) bool) {
	t.Helper()
	const unset = 77
	debug.SetGCPercent(unset)
	last := unset
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		runtime.GC()
		runtime.Gosched()
		now := debug.SetGCPercent(unset)
		if now == unset {
			continue
		}
		if wanted(now) {
			return
		}
		last = now
	}
	t.Fatalf("%s: the last percentage is %d%%", what, last)
}

// The percentage follows the heap, again and again.
func TestPaceGarbageCollection(t *testing.T) {
	t.Setenv("GOGC", "")
	if err := os.Unsetenv("GOGC"); err != nil {
		t.Fatal(err)
	}
	before := debug.SetGCPercent(-1)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	paceGarbageCollection(t.Context())
	awaitGCPercent(t, "a small heap", func(percent int) bool { return percent > 100 })
	held := make([]byte, 200<<20)
	awaitGCPercent(t, "200 MiB more", func(percent int) bool { return percent <= 32 })
	runtime.KeepAlive(held)
	awaitGCPercent(t, "a small heap again", func(percent int) bool { return percent > 100 })
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
