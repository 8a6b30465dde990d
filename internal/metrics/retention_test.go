package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/job-handler/job-handler/internal/retain"
)

func TestRetention(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := NewRetention(registry)
	if err != nil {
		t.Fatal(err)
	}
	m.PassFailed()
	m.PassCompleted(time.Unix(1_800_000_000, 0), 2*time.Second)
	m.Deleted(retain.ReasonExpired)
	m.Deleted(retain.ReasonExpired)
	m.Deleted(retain.ReasonOrphan)
	m.Refused("rights")
	m.Surveyed(&retain.Survey{Counts: map[retain.Class]int{retain.Results: 3, retain.Part: 2}, Malformed: 1})
	m.Surveyed(&retain.Survey{Counts: map[retain.Class]int{retain.Results: 2, retain.Captured: 4, retain.Foreign: 1}})
	m.SetBudgets(retain.Budgets{Namespace: 1000, Cluster: 5000})
	m.SetBytes("gone", 5)
	m.ResetBytes(map[string]int64{"team": 10, "other": 20})
	m.SetBytes("team", 11)
	m.Shrunk(retain.ClusterBudget)

	names := []string{
		"job_handler_retention_deleted_total", "job_handler_retention_passes_total", "job_handler_retention_refused_total",
		"job_handler_retention_last_pass_timestamp_seconds", "job_handler_retention_objects", "job_handler_retention_malformed_results",
		"job_handler_results_bytes", "job_handler_results_budget_bytes", "job_handler_results_all_budget_bytes", "job_handler_results_shrunk_total",
	}
	const want = `
# HELP job_handler_results_budget_bytes Size of the results in a namespace from which less log text is stored, in bytes; 0 means no limit.
# TYPE job_handler_results_budget_bytes gauge
job_handler_results_budget_bytes 1000
# HELP job_handler_results_all_budget_bytes Size of the results in all namespaces from which less log text is stored, in bytes; 0 means no limit.
# TYPE job_handler_results_all_budget_bytes gauge
job_handler_results_all_budget_bytes 5000
# HELP job_handler_results_bytes Size of the results in a namespace, parts and captures included, in bytes, for the 100 namespaces with most.
# TYPE job_handler_results_bytes gauge
job_handler_results_bytes{namespace="other"} 20
job_handler_results_bytes{namespace="team"} 11
# HELP job_handler_results_shrunk_total Runs with less log text stored because results were above a budget, by budget.
# TYPE job_handler_results_shrunk_total counter
job_handler_results_shrunk_total{budget="cluster"} 1
job_handler_results_shrunk_total{budget="namespace"} 0
# HELP job_handler_retention_deleted_total Results objects deleted by reason.
# TYPE job_handler_retention_deleted_total counter
job_handler_retention_deleted_total{reason="capture"} 0
job_handler_retention_deleted_total{reason="expired"} 2
job_handler_retention_deleted_total{reason="orphan"} 1
job_handler_retention_deleted_total{reason="part"} 0
job_handler_retention_deleted_total{reason="surplus"} 0
# HELP job_handler_retention_last_pass_timestamp_seconds When the last complete pass over all results ended, in seconds since 1970; absent before.
# TYPE job_handler_retention_last_pass_timestamp_seconds gauge
job_handler_retention_last_pass_timestamp_seconds 1.8e+09
# HELP job_handler_retention_malformed_results Results in the last pass that are kept because their expires-at cannot be read.
# TYPE job_handler_retention_malformed_results gauge
job_handler_retention_malformed_results 0
# HELP job_handler_retention_objects Objects labelled as results in the last pass, by class.
# TYPE job_handler_retention_objects gauge
job_handler_retention_objects{class="capture"} 4
job_handler_retention_objects{class="foreign"} 1
job_handler_retention_objects{class="part"} 0
job_handler_retention_objects{class="results"} 2
# HELP job_handler_retention_passes_total Passes over all results, by outcome.
# TYPE job_handler_retention_passes_total counter
job_handler_retention_passes_total{result="complete"} 1
job_handler_retention_passes_total{result="failed"} 1
# HELP job_handler_retention_refused_total Deletions of results that the API server refused by cause.
# TYPE job_handler_retention_refused_total counter
job_handler_retention_refused_total{cause="other"} 0
job_handler_retention_refused_total{cause="quota"} 0
job_handler_retention_refused_total{cause="rights"} 1
job_handler_retention_refused_total{cause="size"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	if count := testutil.CollectAndCount(registry, "job_handler_retention_pass_duration_seconds"); count != 1 {
		t.Errorf("%d histograms", count)
	}
	if problems, err := testutil.GatherAndLint(registry); len(problems) > 0 || err != nil {
		t.Errorf("%v, %v", problems, err)
	}
	if _, err := NewRetention(registry); err == nil {
		t.Error("registered twice")
	}
}
