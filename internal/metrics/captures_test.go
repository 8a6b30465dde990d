package metrics

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/job-handler/job-handler/internal/capture"
)

func TestCaptures(t *testing.T) {
	registry := prometheus.NewRegistry()
	stats := CaptureStats{}
	captures, err := NewCaptures(registry, func() CaptureStats { return stats })
	if err != nil {
		t.Fatal(err)
	}
	stats = CaptureStats{Pods: 1, MemoryBytes: 2, Cut: 5, Dropped: 6}
	captures.Spilled(7, 800)
	captures.Spilled(2, 100)
	captures.SpillFailed(capture.SaveQuota)
	captures.SpillFailed(capture.SavePassing)
	captures.SpillFailed(capture.SavePassing)

	want := `# HELP job_handler_capture_cuts_total How often a captured log was shortened because --capture-memory was used up.
# TYPE job_handler_capture_cuts_total counter
job_handler_capture_cuts_total 5
# HELP job_handler_capture_dropped_pods_total Captured pods that were dropped because there were too many.
# TYPE job_handler_capture_dropped_pods_total counter
job_handler_capture_dropped_pods_total 6
# HELP job_handler_capture_memory_bytes Memory in use by captured logs, of --capture-memory.
# TYPE job_handler_capture_memory_bytes gauge
job_handler_capture_memory_bytes 2
# HELP job_handler_capture_pods Deleted pods that are kept in memory until the results of their Job are stored.
# TYPE job_handler_capture_pods gauge
job_handler_capture_pods 1
# HELP job_handler_capture_spill_failures_total Failed tries to store captures, by cause.
# TYPE job_handler_capture_spill_failures_total counter
job_handler_capture_spill_failures_total{cause="budget"} 0
job_handler_capture_spill_failures_total{cause="gone"} 0
job_handler_capture_spill_failures_total{cause="other"} 0
job_handler_capture_spill_failures_total{cause="passing"} 2
job_handler_capture_spill_failures_total{cause="quota"} 1
job_handler_capture_spill_failures_total{cause="rights"} 0
job_handler_capture_spill_failures_total{cause="size"} 0
# HELP job_handler_capture_spilled_bytes_total Bytes of values of the objects that captures were stored in.
# TYPE job_handler_capture_spilled_bytes_total counter
job_handler_capture_spilled_bytes_total 900
# HELP job_handler_capture_spilled_objects_total Objects that captures were stored in before their Job had finished.
# TYPE job_handler_capture_spilled_objects_total counter
job_handler_capture_spilled_objects_total 2
# HELP job_handler_capture_spilled_pods_total Captured pods that were stored before their Job had finished.
# TYPE job_handler_capture_spilled_pods_total counter
job_handler_capture_spilled_pods_total 9
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(registry); len(problems) > 0 || err != nil {
		t.Errorf("%v, %v", problems, err)
	}
	if _, err := NewCaptures(registry, func() CaptureStats { return stats }); err == nil {
		t.Error("registered twice")
	}
	var none *Captures
	none.Spilled(1, 1)
	none.SpillFailed(capture.SaveOther)
}
