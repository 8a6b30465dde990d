package results

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/job-handler/job-handler/internal/api"
)

// captured returns a pod whose log was read with this outcome.
func captured(name string, capture Capture) Pod {
	pod := podAt(name, 1).with("main", exited(0), "log\n")
	pod.Logs[0].Capture = capture
	return pod
}

func TestSummary(t *testing.T) {
	whole := Capture{Complete: true}
	stalled := Capture{Reason: ReasonStalled, Message: "no byte for the idle timeout", Retryable: true}
	gone := Capture{Reason: ReasonNodeGone, Message: `pods "node-1" not found`}
	cut := podAt("cut", 1).with("main", exited(0), "")
	cut.Logs[0].Text = buffer("0123456789", 4)
	restarted := podAt("restarted", 1).with("main", exited(0), "log\n")
	restarted.Pod.Status.ContainerStatuses[0].RestartCount = 2
	tests := map[string]struct {
		pods      []Pod
		missing   int
		perhaps   int
		mode      string
		retryable bool
		want      string
	}{
		"no pods":  {want: "complete"},
		"complete": {pods: []Pod{captured("a", whole), captured("b", whole)}, want: "complete"},
		"stalled": {
			pods: []Pod{captured("a", whole), captured("b", stalled)}, retryable: true,
			want: "incomplete: Stalled (pod b, container main: no byte for the idle timeout)",
		},
		"retryable first, counted": {
			pods:      []Pod{captured("a", gone), captured("b", gone), captured("c", stalled)},
			retryable: true,
			want:      `incomplete: Stalled (pod c, container main: no byte for the idle timeout); NodeGone (2 logs, first pod a, container main)`,
		},
		"incurable": {
			pods: []Pod{captured("a", gone)},
			want: `incomplete: NodeGone (pod a, container main)`,
		},
		"a kubelet's error, or a program that imitates it": {
			pods:      []Pod{captured("a", Capture{Reason: ReasonLogUnavailable, Message: "failed to open log file \"/secret\"", Retryable: true})},
			retryable: true,
			want:      "incomplete: LogUnavailable (pod a, container main)",
		},
		"a reason that nobody has thought of": {
			pods: []Pod{captured("a", Capture{Reason: "New", Message: "secret"})},
			want: "incomplete: New (pod a, container main)",
		},
		"pods missing":          {missing: 2, want: "incomplete: PodGone (2 pods)"},
		"pod may be missing":    {perhaps: 1, want: "incomplete: PodMayBeMissing (1 pod)"},
		"pods are, others may":  {missing: 1, perhaps: 2, want: "incomplete: PodGone (1 pod); PodMayBeMissing (2 pods)"},
		"pod missing in status": {missing: 1, mode: api.LogModeStatus, want: "incomplete: PodGone (1 pod)"},
		"not read":              {pods: []Pod{{Pod: captured("a", whole).Pod}}, retryable: true, want: "incomplete: NotRead (pod a, container main: the log was not read)"},
		"log-mode status":       {pods: []Pod{{Pod: captured("a", whole).Pod}, {Pod: restarted.Pod}}, mode: api.LogModeStatus, want: "complete"},
		"shortened":             {pods: []Pod{cut}, want: "incomplete: ShortenedToFit (pod cut, container main: 6 bytes in 1 line left out)"},
		"earlier instances":     {pods: []Pod{restarted}, want: "incomplete: InstancesGone (2 logs, first pod restarted, container main)"},
		"nothing said":          {pods: []Pod{captured("a", Capture{})}, retryable: true, want: "incomplete: NotRead (pod a, container main: the log was not read)"},
		"long": {
			pods: []Pod{captured(strings.Repeat("x", 300), gone)},
			want: "incomplete: NodeGone (pod " + strings.Repeat("x", 171) + "...",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			run := completedRun(tc.pods...)
			run.MissingPods, run.PerhapsMissingPods, run.LogMode = tc.missing, tc.perhaps, tc.mode
			got := build(t, run).Capture
			if diff := cmp.Diff(tc.want, got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Retryable != tc.retryable || got.Complete != (tc.want == "complete") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestSummarizeDoesNotForesee(t *testing.T) {
	run := completedRun(podAt("loud", 1).with("main", exited(0), numbered(100_000)))
	if got := Summarize(run); !got.Complete {
		t.Errorf("Summarize = %+v of a log that was read whole", got)
	}
	if got := build(t, run).Capture; got.Complete || got.Retryable {
		t.Errorf("Build says %+v", got)
	}
}
