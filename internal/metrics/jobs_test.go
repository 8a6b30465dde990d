package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/job-handler/job-handler/internal/results"
)

func TestJobs(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := NewJobs(registry)
	if err != nil {
		t.Fatal(err)
	}
	m.Stored(&Run{
		Outcome: "completed", Logs: results.LogsComplete, Took: 30 * time.Millisecond, Bytes: 5000,
		LogKept: 10, LogLeftOut: 1, Redactions: 2,
	})
	m.Stored(&Run{Outcome: "failed", Logs: results.LogsKept, Took: time.Hour, Bytes: 16 << 20, LogKept: 20, LogLeftOut: 3, Redactions: 4})
	m.Deleted("completed", -time.Second)
	m.Lost()
	m.Missing()
	m.Retried("passing")
	m.RetriedLogs()
	m.Refused("quota")

	const want = `
# TYPE job_handler_jobs_stored_total counter
job_handler_jobs_stored_total{capture="complete",outcome="completed"} 1
job_handler_jobs_stored_total{capture="complete",outcome="failed"} 0
job_handler_jobs_stored_total{capture="incomplete",outcome="completed"} 0
job_handler_jobs_stored_total{capture="incomplete",outcome="failed"} 0
job_handler_jobs_stored_total{capture="kept",outcome="completed"} 0
job_handler_jobs_stored_total{capture="kept",outcome="failed"} 1
# TYPE job_handler_log_kept_bytes_total counter
job_handler_log_kept_bytes_total 30
# TYPE job_handler_log_left_out_bytes_total counter
job_handler_log_left_out_bytes_total 4
# TYPE job_handler_redactions_total counter
job_handler_redactions_total 6
# TYPE job_handler_refusals_total counter
job_handler_refusals_total{cause="other"} 0
job_handler_refusals_total{cause="quota"} 1
job_handler_refusals_total{cause="rights"} 0
job_handler_refusals_total{cause="size"} 0
# TYPE job_handler_results_lost_total counter
job_handler_results_lost_total 1
# TYPE job_handler_results_missing_total counter
job_handler_results_missing_total 1
# TYPE job_handler_retries_total counter
job_handler_retries_total{class="conflict"} 0
job_handler_retries_total{class="gone"} 0
job_handler_retries_total{class="logs"} 1
job_handler_retries_total{class="passing"} 1
job_handler_retries_total{class="refused"} 0
`
	if err := testutil.GatherAndCompare(registry, withHelp(t, want), namesIn(want)...); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]struct {
		count uint64
		sum   float64
	}{
		finishToStored.Name: {2, 3600.03}, finishToDeleted.Name: {1, 0}, resultsSize.Name: {2, 5000 + 16<<20},
	} {
		if count, sum := histogram(t, registry, name); count != want.count || sum != want.sum {
			t.Errorf("%s: %d values, in sum %g; want %v", name, count, sum, want)
		}
	}
	if _, err := NewJobs(registry); err == nil {
		t.Error("registered twice")
	}
	var none *Jobs
	none.Stored(&Run{})
	none.Deleted("completed", 0)
	none.Lost()
	none.Missing()
	none.Retried("gone")
	none.Refused("quota")
}

// A histogram tells apart what takes 10 ms and what takes an hour.
func TestDurationsFit(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := NewJobs(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, took := range []time.Duration{9 * time.Millisecond, 59 * time.Minute, 61 * time.Minute} {
		m.Deleted("failed", took)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, series := range family.GetMetric() {
			if family.GetName() != finishToDeleted.Name || series.GetLabel()[0].GetValue() != "failed" {
				continue
			}
			buckets := series.GetHistogram().GetBucket()
			if first, last := buckets[0], buckets[len(buckets)-1]; first.GetCumulativeCount() != 1 || last.GetCumulativeCount() != 2 {
				t.Errorf("%d up to %g, %d up to %g", first.GetCumulativeCount(), first.GetUpperBound(), last.GetCumulativeCount(), last.GetUpperBound())
			}
			if len(series.GetHistogram().GetPositiveSpan()) == 0 {
				t.Error("no native buckets")
			}
		}
	}
}

func TestBacklog(t *testing.T) {
	registry := prometheus.NewRegistry()
	backlog := Backlog{}
	if err := NewBacklog(registry, func() Backlog { return backlog }); err != nil {
		t.Fatal(err)
	}
	backlog = Backlog{Jobs: 3, Oldest: 90 * time.Second}
	const want = `
# TYPE job_handler_backlog_jobs gauge
job_handler_backlog_jobs 3
# TYPE job_handler_backlog_oldest_seconds gauge
job_handler_backlog_oldest_seconds 90
`
	if err := testutil.GatherAndCompare(registry, withHelp(t, want)); err != nil {
		t.Error(err)
	}
	if err := NewBacklog(registry, nil); err == nil {
		t.Error("registered twice")
	}
}

func TestBuild(t *testing.T) {
	registry := prometheus.NewRegistry()
	if err := NewBuild(registry, "v1.2.3"); err != nil {
		t.Fatal(err)
	}
	const want = `
# TYPE job_handler_build_info gauge
job_handler_build_info{version="v1.2.3"} 1
`
	if err := testutil.GatherAndCompare(registry, withHelp(t, want)); err != nil {
		t.Error(err)
	}
	if err := NewBuild(registry, "v1.2.3"); err == nil {
		t.Error("registered twice")
	}
}

// withHelp puts before each TYPE in text the HELP that its metric has.
func withHelp(t *testing.T, text string) *strings.Reader {
	t.Helper()
	help := map[string]string{}
	for _, group := range Groups() {
		for _, d := range group.Definitions {
			help[d.Name] = d.Help
		}
	}
	var all strings.Builder
	for line := range strings.Lines(text) {
		if rest, isType := strings.CutPrefix(line, "# TYPE "); isType {
			name, _, _ := strings.Cut(rest, " ")
			all.WriteString("# HELP " + name + " " + help[name] + "\n")
		}
		all.WriteString(line)
	}
	return strings.NewReader(all.String())
}

// namesIn returns the names of the metrics of which text has a TYPE.
func namesIn(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		if rest, isType := strings.CutPrefix(line, "# TYPE "); isType {
			name, _, _ := strings.Cut(rest, " ")
			names = append(names, name)
		}
	}
	return names
}

// histogram returns how many values were observed, over all labels, and their sum.
func histogram(t *testing.T, registry *prometheus.Registry, name string) (count uint64, sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, series := range family.GetMetric() {
			if family.GetName() == name {
				count += series.GetHistogram().GetSampleCount()
				sum += series.GetHistogram().GetSampleSum()
			}
		}
	}
	return count, sum
}
