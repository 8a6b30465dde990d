package metrics

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/job-handler/job-handler/internal/plan"
)

func TestProtection(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := NewProtection(registry)
	if err != nil {
		t.Fatal(err)
	}
	metrics.Released(plan.ReleasedStored)
	metrics.Released(plan.ReleasedStored)
	metrics.Released(plan.ReleasedDeadline)
	metrics.SetHeld(7)
	metrics.SetHeld(3)
	const want = `
# HELP job_handler_protect_held_deletions Deleted Jobs that the finalizer job-handler/results holds until their results are stored.
# TYPE job_handler_protect_held_deletions gauge
job_handler_protect_held_deletions 3
# HELP job_handler_protect_releases_total Jobs that lost the finalizer job-handler/results by reason.
# TYPE job_handler_protect_releases_total counter
job_handler_protect_releases_total{reason="deadline"} 1
job_handler_protect_releases_total{reason="namespace"} 0
job_handler_protect_releases_total{reason="opted-out"} 0
job_handler_protect_releases_total{reason="stored"} 2
job_handler_protect_releases_total{reason="unfinished"} 0
job_handler_protect_releases_total{reason="withdrawn"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(registry); len(problems) > 0 || err != nil {
		t.Errorf("%v, %v", problems, err)
	}
	if _, err := NewProtection(registry); err == nil {
		t.Error("registered twice")
	}
}

func TestNoProtection(*testing.T) {
	var none *Protection
	none.Released(plan.ReleasedStored)
	none.SetHeld(1)
}
