package results

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/api"
)

func TestLogs(t *testing.T) {
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}
	restarted := podAt("report-abc12", 1).with("main", exited(0), "now\n")
	restarted.Pod.Status.ContainerStatuses[0].RestartCount = 3
	restarted.Pod.Status.ContainerStatuses[0].LastTerminationState = exited(1)
	restarted.Logs = append(restarted.Logs, ContainerLog{
		Container: "main", Previous: true, Text: buffer("before", 100), Capture: Capture{Complete: true},
	})
	broken := podAt("report-abc12", 1).with("main", exited(0), "half of")
	broken.Logs[0].Capture = Capture{Reason: ReasonEndedEarly, Message: "the stream ended before the log did", Retryable: true}
	never := podAt("report-abc12", 1).with("main", waiting, "")
	never.Logs[0] = ContainerLog{Container: "main", Capture: Capture{Reason: ReasonNeverStarted, Message: "ImagePullBackOff"}}
	again := podAt("report-abc12", 1).with("main", waiting, "")
	again.Logs[0] = ContainerLog{Container: "main", Capture: Capture{Complete: true, Reason: ReasonNotStartedAgain, Message: "CrashLoopBackOff"}}
	again.Pod.Spec.NodeName = ""
	unread := podAt("report-abc12", 1).with("main", corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, "")
	unread.Logs = nil

	tests := map[string]struct {
		pods    []Pod
		missing int
		perhaps int
		want    string
	}{
		"one container": {
			pods: []Pod{podAt("report-abc12", 1).with("main", exited(0), "one\ntwo\n")},
			want: "==> pod report-abc12, container main (node node-1, exit code 0) <==\none\ntwo\n",
		},
		"pods in order of creation, then name": {
			pods: []Pod{
				podAt("report-c", 2).with("main", exited(0), "c\n"),
				podAt("report-b", 1).with("main", exited(0), "b\n").with("side", exited(0), "s"),
				podAt("report-a", 2).with("main", exited(3), "a\n"),
			},
			want: `==> pod report-b, container main (node node-1, exit code 0) <==
b

==> pod report-b, container side (node node-1, exit code 0) <==
s

==> pod report-a, container main (node node-1, exit code 3) <==
a

==> pod report-c, container main (node node-1, exit code 0) <==
c
`,
		},
		"what could steer a terminal": {
			pods: []Pod{podAt("report-abc12", 1).with("main", exited(0), "\x1b[2Jgone\r\n\xff\x00")},
			want: "==> pod report-abc12, container main (node node-1, exit code 0) <==\n" + `\x1b[2Jgone` + "\n" + `\xff\x00` + "\n",
		},
		"restarted": {
			pods: []Pod{restarted},
			want: `==> pod report-abc12, container main, previous instance (node node-1, exit code 1) <==
[job-handler: no log of 2 earlier instances of this container]
before

==> pod report-abc12, container main (node node-1, exit code 0) <==
now
`,
		},
		"empty": {
			pods: []Pod{podAt("report-abc12", 1).with("main", exited(0), "")},
			want: "==> pod report-abc12, container main (node node-1, exit code 0) <==\n[job-handler: the log is empty]\n",
		},
		"incomplete": {
			pods: []Pod{broken},
			want: `==> pod report-abc12, container main (node node-1, exit code 0) <==
half of
[job-handler: this log is not complete: EndedEarly: the stream ended before the log did]
`,
		},
		"never started": {
			pods: []Pod{never},
			want: `==> pod report-abc12, container main (node node-1, waiting) <==
[job-handler: no log: NeverStarted: ImagePullBackOff]
`,
		},
		"not started again": {
			pods: []Pod{again},
			want: `==> pod report-abc12, container main (waiting) <==
[job-handler: the log is empty: NotStartedAgain: CrashLoopBackOff]
`,
		},
		"not read": {
			pods: []Pod{unread},
			want: `==> pod report-abc12, container main (node node-1, running) <==
[job-handler: no log: NotRead: the log was not read]
`,
		},
		"pods that are gone": {
			pods:    []Pod{podAt("report-abc12", 1).with("main", exited(0), "one\n")},
			missing: 1,
			want: `==> pod report-abc12, container main (node node-1, exit code 0) <==
one

[job-handler: no log of 1 pod that the Job's status counts: gone before it could be read]
`,
		},
		"pods that are gone, and others that may be": {
			pods:    []Pod{podAt("report-abc12", 1).with("main", exited(0), "one\n")},
			missing: 2, perhaps: 1,
			want: `==> pod report-abc12, container main (node node-1, exit code 0) <==
one

[job-handler: no log of 2 pods that the Job's status counts: gone before it could be read]
[job-handler: the log of up to 1 pod may be missing: the Job does not tell which pods its status counts]
`,
		},
		"no pod": {want: "[job-handler: the Job had no pod]\n"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			run := completedRun(tc.pods...)
			run.MissingPods, run.PerhapsMissingPods = tc.missing, tc.perhaps
			if diff := cmp.Diff(tc.want, build(t, run).Data[api.DataLogs]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogsAreShortenedFairly(t *testing.T) {
	run := completedRun(
		podAt("quiet", 1).with("main", exited(0), numbered(100)),
		podAt("loud", 2).with("main", exited(0), numbered(100_000)),
	)
	content := build(t, run)
	logs := content.Data[api.DataLogs]
	if !strings.Contains(logs, numbered(100)) {
		t.Error("the quiet pod's log was cut")
	}
	if !strings.Contains(logs, " left out here]\n") || !strings.Contains(logs, "line 100000 of the log\n") {
		t.Error("the loud pod's log has no marker or no tail")
	}
	if free := api.MaxResultsBytes - content.Bytes(); free < 0 || free > 4<<10 {
		t.Errorf("%d bytes left free", free)
	}
	if want := "ShortenedToFit (pod loud, container main: "; !strings.HasPrefix(content.Capture.Why, want) || content.Capture.Retryable {
		t.Errorf("capture %+v", content.Capture)
	}
}

func TestFailedPodsComeFirst(t *testing.T) {
	pods := []Pod{podAt("broken", 1).with("main", exited(1), numbered(40_000))}
	for i := range 20 {
		pods = append(pods, podAt(fmt.Sprintf("fine-%02d", i), 2).with("main", exited(0), numbered(40_000)))
	}
	record := readRecord(t, build(t, failedRun(pods...)))
	failed, fine := record.Pods[0].Containers[0].Capture, record.Pods[1].Containers[0].Capture
	if failed.BytesKept < 400<<10 || fine.BytesKept < 10<<10 {
		t.Errorf("kept %d bytes of the failed pod's log and %d of another's", failed.BytesKept, fine.BytesKept)
	}
}

func TestTailOfFailedPodIsFavoured(t *testing.T) {
	run := failedRun(podAt("broken", 1).with("main", exited(1), numbered(10_000)))
	run.MaxBytes = 64 << 10
	logs := build(t, run).Data[api.DataLogs]
	marker := strings.Index(logs, "[job-handler: ")
	if head, tail := marker, len(logs)-marker; tail < 2*head {
		t.Errorf("%d bytes of head, %d of tail", head, tail)
	}
}
