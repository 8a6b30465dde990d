package results

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/jobtest"
)

// build builds run and fails the test if that fails.
func build(t testing.TB, run Run) *Content {
	t.Helper()
	content, err := Build(run)
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	return content
}

func TestBuildRefusesUnfinished(t *testing.T) {
	running := jobtest.MakeJob("batch", "report").Obj()
	for name, run := range map[string]Run{
		"no Job":     {Outcome: jobstatus.Outcome{Phase: jobstatus.Completed}},
		"no outcome": {Job: running},
		"running":    {Job: running, Outcome: jobstatus.Of(running)},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Build(run); !errors.Is(err, ErrUnfinished) {
				t.Errorf("Build: %v, want ErrUnfinished", err)
			}
		})
	}
}

func TestOutcomeData(t *testing.T) {
	unstarted := failedRun()
	unstarted.Job.Status.StartTime = nil
	tests := map[string]struct {
		run  Run
		want map[string]string
	}{
		"completed": {
			run: completedRun(),
			want: map[string]string{
				"job-name": "report", "status": "completed",
				"start-time": "2026-11-05T10:00:00Z", "completion-time": "2026-11-05T10:01:30Z", "duration": "1m30s",
				"reason": "CompletionsReached", "message": "Reached expected number of succeeded pods",
			},
		},
		"failed": {
			run: failedRun(),
			want: map[string]string{
				"job-name": "report", "status": "failed",
				"start-time": "2026-11-05T10:00:00Z", "completion-time": "2026-11-05T10:01:30Z", "duration": "1m30s",
				"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit",
			},
		},
		"failed before it started": {
			run: unstarted,
			want: map[string]string{
				"job-name": "report", "status": "failed", "completion-time": "2026-11-05T10:01:30Z",
				"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit",
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := maps.Clone(build(t, tc.run).Data)
			for _, key := range []string{api.DataLogs, api.DataContainers, api.DataJobJSON} {
				if got[key] == "" {
					t.Errorf("no %s", key)
				}
				delete(got, key)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLabelsAndAnnotations(t *testing.T) {
	run := completedRun(podAt("report-abc12", 1).with("main", exited(0), "hello\n"))
	run.Labels = map[string]string{"team": "billing", api.StatusLabel: "forged", api.Prefix + "x": "y", "job-name": "forged"}
	run.CronJob = "nightly"
	expires := start.Add(24 * time.Hour).In(time.FixedZone("CET", 3600))
	run.ExpiresAt = &expires
	content := build(t, run)

	wantLabels := map[string]string{
		"job-handler/created": "true", "job-name": "report", "job-handler/status": "completed",
		"job-handler/job-uid": jobUID, "job-handler/cronjob": "nightly", "team": "billing",
	}
	if diff := cmp.Diff(wantLabels, content.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if got := content.Annotations[api.CreatedAtAnnotation]; got != "2026-11-05T10:02:00Z" {
		t.Errorf("created-at %q", got)
	}
	if got := content.Annotations[api.ExpiresAtAnnotation]; got != "2026-11-06T10:00:00Z" {
		t.Errorf("expires-at %q", got)
	}
	if got := content.Annotations[api.SHA256Annotation]; got != Digest(content.Data, nil) || len(got) != 64 {
		t.Errorf("sha256 %q", got)
	}
	if keys := slices.Sorted(maps.Keys(content.Annotations)); len(keys) != 4 {
		t.Errorf("annotations %v", keys)
	}
}

func TestLabelsOfLongNames(t *testing.T) {
	run := completedRun()
	run.Job.Name = strings.Repeat("long.", 50) + "job"
	content := build(t, run)
	if got := content.Labels[api.JobNameLabel]; len(got) > 63 {
		t.Errorf("label of %d characters", len(got))
	}
	if got := content.Data[api.DataJobName]; got != run.Job.Name {
		t.Errorf("job-name %q", got)
	}
}

func TestContainersBlock(t *testing.T) {
	pod := podAt("report-abc12", 1).with("main", exited(137), "")
	status := &pod.Pod.Status.ContainerStatuses[0]
	status.RestartCount = 6
	status.State.Terminated.Signal = 9
	status.State.Terminated.Message = "  out of memory\nsee \x1b[1mlog\x1b[0m\n"
	status.LastTerminationState = exited(2)
	running := podAt("report-xyz89", 2).with("main", corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(3)}}, "")
	running.Pod.Status.ContainerStatuses[0].Ready = true
	running.Pod.Status.ContainerStatuses[0].Started = new(true)
	unknown := podAt("report-zzz99", 3)
	unknown.Pod.Spec.Containers = []corev1.Container{{Name: "main", Image: "localhost/busybox:1"}}

	const want = `pod report-abc12, container main
  Kind:           main
  Image:          localhost/busybox:1
  Image ID:       localhost/busybox@sha256:0123456789abcdef
  Ready:          false
  Restart count:  6 (unstable)
  Started:        false
  State:          Terminated
    Exit code:    137
    Signal:       9
    Reason:       Error
    Message:      out of memory\nsee \x1b[1mlog\x1b[0m
    Started at:   2026-11-05T10:00:02Z
    Finished at:  2026-11-05T10:01:02Z
    Duration:     1m0s
  Last state:     Terminated
    Exit code:    2
    Reason:       Error
    Started at:   2026-11-05T10:00:02Z
    Finished at:  2026-11-05T10:01:02Z
    Duration:     1m0s

pod report-xyz89, container main
  Kind:           main
  Image:          localhost/busybox:1
  Image ID:       localhost/busybox@sha256:0123456789abcdef
  Ready:          true
  Restart count:  0
  Started:        true
  State:          Running
    Started at:   2026-11-05T10:00:03Z

pod report-zzz99, container main
  Kind:           main
  Image:          localhost/busybox:1
  Ready:          false
  Restart count:  0
  Started:        false
  State:          Unknown

[job-handler: no container state of 2 pods that the Job's status counts: gone before it could be read]
`
	run := failedRun(unknown, running, pod)
	run.MissingPods = 2
	content := build(t, run)
	if diff := cmp.Diff(want, content.Data[api.DataContainers]); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	run.LogMode = api.LogModeStatus
	if diff := cmp.Diff(want, build(t, run).Data[api.DataLogs]); diff != "" {
		t.Errorf("logs in log-mode status (-want +got):\n%s", diff)
	}
}

func TestJobJSON(t *testing.T) {
	pod := podAt("report-0-abc12", 1).with("main", exited(1), "first\nsecond\n")
	pod.Pod.Annotations = map[string]string{"batch.kubernetes.io/job-completion-index": "0"}
	pod.Pod.Status.Reason, pod.Pod.Status.Message = "Evicted", "The node was low on <memory>"
	run := failedRun(pod)
	run.CronJob, run.MissingPods = "nightly", 1
	content := build(t, run)

	var got Record
	decoder := json.NewDecoder(strings.NewReader(content.Data[api.DataJobJSON]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	minute, all, code := int64(60), int64(90), int32(1)
	want := Record{
		Schema: "job-handler/v1",
		Job:    JobRecord{Name: "report", Namespace: "batch", UID: jobUID, CronJob: "nightly"},
		Status: "failed", Reason: "BackoffLimitExceeded",
		Message: "Job has reached the specified backoff limit; pod report-0-abc12: Evicted: The node was low on <memory>",
		Explanation: &ExplanationRecord{
			Reason: "Evicted", Pod: "report-0-abc12", Text: "pod report-0-abc12: Evicted: The node was low on <memory>",
		},
		StartTime: "2026-11-05T10:00:00Z", CompletionTime: "2026-11-05T10:01:30Z", DurationSeconds: &all,
		LogMode: "full", Capture: RunCapture{Why: "PodGone (1 pod)"},
		PodCounts: PodCounts{Failed: 1, Seen: 1, Missing: 1},
		Pods: []PodRecord{{
			Name: "report-0-abc12", UID: "uid-of-report-0-abc12", Node: "node-1", Phase: "Failed",
			Reason: "Evicted", Message: "The node was low on <memory>", Index: new(int), CreatedAt: "2026-11-05T10:00:01Z",
			Containers: []ContainerRecord{{
				Name: "main", Kind: KindMain,
				Image: "localhost/busybox:1", ImageID: "localhost/busybox@sha256:0123456789abcdef",
				State: StateRecord{
					State: StateTerminated, ExitCode: &code, Reason: "Error",
					StartedAt: "2026-11-05T10:00:02Z", FinishedAt: "2026-11-05T10:01:02Z", DurationSeconds: &minute,
				},
				Capture: CaptureRecord{Complete: true, BytesSeen: 13, BytesKept: 13, Exact: &ExactRecord{Offset: 70}},
			}},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, field := range []string{`"schema": "job-handler/v1"`, `<memory>`, `"exitCode": 1`, `"omitted"`} {
		if !strings.Contains(content.Data[api.DataJobJSON], field) {
			t.Errorf("no %s in\n%s", field, content.Data[api.DataJobJSON])
		}
	}
}
