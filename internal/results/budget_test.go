package results

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/job-handler/job-handler/internal/api"
)

// Above the budget of a namespace little is kept of logs, and all of the rest.
func TestBuildWithinABudget(t *testing.T) {
	const budget = 16 << 10
	talkative := func() Run {
		// Words that do not compress to nothing.
		pod := podAt("report-1", 1).with("main", exited(0), numbered(40_000))
		pod.Pod.Status.ContainerStatuses[0].State.Terminated.Message = `{"records": "12"}`
		run := completedRun(pod)
		run.MaxBytes = 4 << 20
		return run
	}
	whole := build(t, talkative())
	short := talkative()
	short.MaxLogBytes = budget
	content := build(t, short)
	checkContent(t, &short, content)

	if got := len(content.Data[api.DataLogs]) + len(content.BinaryData[api.DataLogsGzip]); got > budget || got < budget/2 {
		t.Errorf("logs take %d bytes, want most of %d", got, budget)
	}
	if len(content.Parts) > 0 {
		t.Errorf("%d parts", len(content.Parts))
	}
	if content.Capture.Complete || !strings.HasPrefix(content.Capture.Why, ReasonNamespaceBudget) || content.Capture.Retryable {
		t.Errorf("capture %+v, want %s", content.Capture, ReasonNamespaceBudget)
	}
	short.MaxLogReason = ReasonClusterBudget
	if why := build(t, short).Capture.Why; !strings.HasPrefix(why, ReasonClusterBudget+" (pod report-1, container main: ") {
		t.Errorf("capture %s", why)
	}
	for _, key := range []string{api.DataContainers, api.DataStatus, api.DataCompletionTime, "records"} {
		if diff := cmp.Diff(whole.Data[key], content.Data[key]); diff != "" || content.Data[key] == "" {
			t.Errorf("%s: -whole +short\n%s", key, diff)
		}
	}
}

// A log that is short anyway is whole.
func TestBuildWithinABudgetKeepsShortLogs(t *testing.T) {
	run := completedRun(podAt("report-1", 1).with("main", exited(0), "hello\n"))
	want := build(t, run)
	run.MaxLogBytes = 16 << 10
	if diff := cmp.Diff(want, build(t, run)); diff != "" {
		t.Errorf("-without +with a budget\n%s", diff)
	}
}
