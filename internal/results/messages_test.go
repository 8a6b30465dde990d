package results

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/redact"
)

func TestMessagesAreRedacted(t *testing.T) {
	rules, err := redact.New(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	const secret = "dial pg://me:hunter2@db: refused"
	pod := podAt("report-abc12", 1).with("main", exited(1), "log\n").with("side", corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Message: secret},
	}, "")
	status := &pod.Pod.Status
	status.Message, status.ContainerStatuses[0].State.Terminated.Message = secret, secret
	status.ContainerStatuses[0].LastTerminationState = exited(1)
	status.ContainerStatuses[0].LastTerminationState.Terminated.Message = secret
	pod.Logs[0].Redacted = redact.Counts{"jwt": 2}
	run := failedRun(pod, podAt("report-xyz89", 2).with("main", exited(0), ""))
	run.Redact, run.Outcome.Message = rules, secret
	before := pod.Pod.DeepCopy()

	content := build(t, run)
	for key, value := range content.Data {
		if strings.Contains(value, "hunter2") {
			t.Errorf("%s holds the secret", key)
		}
	}
	record := readRecord(t, content)
	if diff := cmp.Diff(map[string]int64{"url-password": 5, "jwt": 2}, record.Redacted); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := record.Pods[0].Containers[0]; got.State.Message != "dial pg://me:[redacted url-password]@db: refused" || got.Capture.Redacted != 2 {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff(before, pod.Pod); diff != "" {
		t.Errorf("the pod was changed (-before +after):\n%s", diff)
	}
	if record := readRecord(t, build(t, completedRun())); record.Redacted != nil {
		t.Errorf("counts %v of nothing", record.Redacted)
	}
}
