package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/job-handler/job-handler/test/perf/report"
)

// A few Jobs go the whole way of the benchmark: the calibrator, and the manager's
// program with its rights.
func TestSmoke(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a control plane")
	}
	output := t.TempDir()
	binary := filepath.Join(output, "job-handler")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/manager")
	build.Dir = "../../.."
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the manager: %v\n%s", err, text)
	}
	r := &report.Report{}
	settings := &Settings{Manager: binary, Output: output, Sizes: Tiny, Only: []string{"drain"}, Progress: os.Stderr}
	if err := Run(t.Context(), settings, r); err != nil {
		t.Fatal(err)
	}
	for path, least := range map[string]float64{
		"calibrate.rate": 1, "calibrate.alone.p50": 0.001, "drain.rate": 1, "drain.share": 0.01, "drain.jobs": 20,
		"drain.peak-rss": 10 * mib, "drain.cpu": 0.1, "drain.requests": 5,
	} {
		if got, found := r.Find(path); !found || got < least {
			t.Errorf("%s is %v, want %v at least", path, got, least)
		}
	}
	for _, request := range []string{"GET pods/log", "POST configmaps", "POST events", "PATCH jobs", "DELETE jobs"} {
		if got := r.Scenario("drain").Requests[request]; got < 1 {
			t.Errorf("%v of %s for a Job, want 1 at least", got, request)
		}
	}
	if info, err := os.Stat(filepath.Join(output, "drain-heap.pprof")); err != nil || info.Size() == 0 {
		t.Errorf("no profile was kept: %v", err)
	}
}
