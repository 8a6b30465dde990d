// Package runs builds finished runs of Jobs for tests. Package results makes results
// objects of them.
package runs

import (
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/results"
)

// BufferBytes is what the logs of these runs keep at most of each log, as those
// that the manager reads do.
const BufferBytes = 1 << 20

// Of returns the run of a finished job with these pods, stored half a minute
// after its end.
func Of(job *batchv1.Job, pods ...*PodBuilder) results.Run {
	run := results.Run{Job: job, Outcome: jobstatus.Of(job)}
	run.CreatedAt = run.Outcome.FinishTime.Add(30 * time.Second)
	for _, p := range pods {
		run.Pods = append(run.Pods, p.pod)
		if p.pod.Pod.Status.Phase == corev1.PodFailed {
			job.Status.Failed++
		} else {
			job.Status.Succeeded++
		}
	}
	return run
}

// PodBuilder builds a pod of a run.
type PodBuilder struct {
	pod     results.Pod
	created time.Time
}

// MakePod returns the builder of a pod without containers that succeeded.
func MakePod(name string, created time.Time) *PodBuilder {
	return &PodBuilder{created: created, pod: results.Pod{Pod: &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "batch", Name: name, UID: types.UID("uid-of-" + name), CreationTimestamp: metav1.NewTime(created),
		},
		Spec:   corev1.PodSpec{NodeName: "node-1"},
		Status: corev1.PodStatus{Phase: corev1.PodSucceeded},
	}}}
}

// Container adds a container that ended with code after a minute and wrote log.
func (b *PodBuilder) Container(name string, code int32, log []byte) *PodBuilder {
	pod := b.pod.Pod
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: name, Image: jobtest.Image})
	pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
		Name: name, Image: jobtest.Image, State: b.ended(code),
	})
	if code != 0 {
		pod.Status.Phase = corev1.PodFailed
	}
	return b.wrote(name, false, log)
}

// Restarted has the container that was added last have an instance before, that
// ended with code and wrote log, and so many restarts in all.
func (b *PodBuilder) Restarted(restarts, code int32, log []byte) *PodBuilder {
	statuses := b.pod.Pod.Status.ContainerStatuses
	last := &statuses[len(statuses)-1]
	last.RestartCount, last.LastTerminationState = restarts, b.ended(code)
	return b.wrote(last.Name, true, log)
}

// Earlier has the container that was added last have an instance before the previous
// one, that started after so many restarts, ended with code and wrote log.
func (b *PodBuilder) Earlier(restart, code int32, log []byte) *PodBuilder {
	statuses := b.pod.Pod.Status.ContainerStatuses
	b.wrote(statuses[len(statuses)-1].Name, false, log)
	last := &b.pod.Logs[len(b.pod.Logs)-1]
	last.InstanceID = fmt.Sprintf("containerd://earlier-%d", restart)
	last.Earlier = &results.Instance{Restart: restart, End: b.ended(code).Terminated}
	return b
}

// Incomplete has the log that was added last not be read whole.
func (b *PodBuilder) Incomplete(reason, message string) *PodBuilder {
	b.pod.Logs[len(b.pod.Logs)-1].Capture = results.Capture{Reason: reason, Message: message}
	return b
}

// Packed has the log that was added last be kept compressed too, all of it if it
// fits into results of the largest size, as the manager keeps what is longer than
// BufferBytes.
func (b *PodBuilder) Packed(log []byte) *PodBuilder {
	packed := logpack.NewPool(api.MostResultsBytes).Open(b.pod.Pod.Status.Phase == corev1.PodFailed)
	// It never fails.
	_, _ = packed.Write(log)
	_ = packed.Close()
	b.pod.Logs[len(b.pod.Logs)-1].Packed = packed
	return b
}

func (b *PodBuilder) wrote(container string, previous bool, log []byte) *PodBuilder {
	text := logtext.NewBuffer(BufferBytes)
	_, _ = text.Write(log)
	b.pod.Logs = append(b.pod.Logs, results.ContainerLog{
		Container: container, Previous: previous, Text: text, Capture: results.Capture{Complete: true},
	})
	return b
}

func (b *PodBuilder) ended(code int32) corev1.ContainerState {
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason, ContainerID: "containerd://0123456789abcdef",
		StartedAt: metav1.NewTime(b.created.Add(time.Second)), FinishedAt: metav1.NewTime(b.created.Add(61 * time.Second)),
	}}
}
