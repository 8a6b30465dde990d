package results

import (
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/logtext"
)

// start is when every Job of these tests started; it ended 90 s later.
var start = time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)

const jobUID = "11111111-2222-3333-4444-555555555555"

func at(seconds int) metav1.Time {
	return metav1.NewTime(start.Add(time.Duration(seconds) * time.Second))
}

// completedRun returns a run of a Job that completed with these pods.
func completedRun(pods ...Pod) Run {
	job := jobtest.MakeJob("batch", "report").UID(jobUID).Started(start).Completed(start.Add(90 * time.Second)).Obj()
	job.Status.Succeeded = 1
	return Run{Job: job, Outcome: jobstatus.Of(job), Pods: pods, CreatedAt: start.Add(2 * time.Minute)}
}

// failedRun returns a run of a Job that failed with these pods.
func failedRun(pods ...Pod) Run {
	job := jobtest.MakeJob("batch", "report").UID(jobUID).Started(start).
		Failed(start.Add(90*time.Second), batchv1.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit").Obj()
	job.Status.Failed = 1
	return Run{Job: job, Outcome: jobstatus.Of(job), Pods: pods, CreatedAt: start.Add(2 * time.Minute)}
}

// podAt returns a pod made so many seconds after the start, without containers.
func podAt(name string, seconds int) Pod {
	return Pod{Pod: &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "batch", Name: name, UID: types.UID("uid-of-" + name), CreationTimestamp: at(seconds),
		},
		Spec:   corev1.PodSpec{NodeName: "node-1"},
		Status: corev1.PodStatus{Phase: corev1.PodSucceeded},
	}}
}

// exited returns how a container ended after a minute.
func exited(code int32) corev1.ContainerState {
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason, StartedAt: at(2), FinishedAt: at(62),
	}}
}

// with adds a main container of this state that wrote log.
func (p Pod) with(name string, state corev1.ContainerState, log string) Pod {
	p.Pod.Spec.Containers = append(p.Pod.Spec.Containers, corev1.Container{Name: name, Image: "localhost/busybox:1"})
	p.Pod.Status.ContainerStatuses = append(p.Pod.Status.ContainerStatuses, corev1.ContainerStatus{
		Name: name, Image: "localhost/busybox:1", ImageID: "localhost/busybox@sha256:0123456789abcdef", State: state,
	})
	if end := state.Terminated; end != nil && end.ExitCode != 0 {
		p.Pod.Status.Phase = corev1.PodFailed
	}
	return p.wrote(name, log)
}

// wrote adds a log that was read whole.
func (p Pod) wrote(container, log string) Pod {
	p.Logs = append(p.Logs, ContainerLog{Container: container, Text: buffer(log, 1<<20), Capture: Capture{Complete: true}})
	return p
}

func buffer(log string, capacity int) *logtext.Buffer {
	b := logtext.NewBuffer(capacity)
	_, _ = b.Write([]byte(log))
	return b
}

// numbered returns n lines that name themselves.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %06d of the log\n", i+1)
	}
	return b.String()
}
