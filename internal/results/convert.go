package results

import (
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/logtext"
)

// Bounds of texts from elsewhere, in bytes of readable text.
const (
	maxName           = 253
	maxReason         = 128
	maxImage          = 512
	maxCaptureMessage = 300

	// A message of a container or pod gets an equal part of allMessages,
	// within these bounds. The kubelet writes up to 4,096 bytes.
	minMessage  = 256
	maxMessage  = 4 << 10
	allMessages = 128 << 10
)

func messageLimit(containers int) int {
	return min(maxMessage, max(minMessage, allMessages/max(1, containers)))
}

func podRecord(pod *corev1.Pod, message int) PodRecord {
	r := PodRecord{
		Name: line(pod.Name), UID: line(string(pod.UID)), Node: line(pod.Spec.NodeName),
		Phase:   logtext.Line(string(pod.Status.Phase), maxReason),
		Reason:  logtext.Line(pod.Status.Reason, maxReason),
		Message: logtext.Text(pod.Status.Message, message), CreatedAt: timestamp(pod.CreationTimestamp),
		Containers: []ContainerRecord{},
	}
	if index, err := strconv.Atoi(pod.Annotations[batchv1.JobCompletionIndexAnnotation]); err == nil {
		r.Index = &index
	}
	return r
}

// containerRecord tells of c all but its captures.
func containerRecord(c Container, message int) ContainerRecord {
	r := ContainerRecord{
		Name: line(c.Name), Kind: c.Kind, Image: logtext.Line(c.Image, maxImage),
		EarlierInstances: c.EarlierInstances(), State: stateRecord(c.State(), message),
	}
	if c.Status == nil {
		return r
	}
	r.ImageID = logtext.Line(c.Status.ImageID, maxImage)
	r.Ready, r.RestartCount = c.Status.Ready, c.Status.RestartCount
	r.Started = c.Status.Started != nil && *c.Status.Started
	if last := stateRecord(c.Status.LastTerminationState, message); last.State != StateUnknown {
		r.LastState = &last
	}
	return r
}

func stateRecord(s corev1.ContainerState, message int) StateRecord {
	switch {
	case s.Terminated != nil:
		end := s.Terminated
		return StateRecord{
			State: StateTerminated, ExitCode: &end.ExitCode, Signal: end.Signal,
			Reason: logtext.Line(end.Reason, maxReason), Message: logtext.Text(end.Message, message),
			StartedAt: timestamp(end.StartedAt), FinishedAt: timestamp(end.FinishedAt),
			DurationSeconds: seconds(end.StartedAt.Time, end.FinishedAt.Time),
		}
	case s.Running != nil:
		return StateRecord{State: StateRunning, StartedAt: timestamp(s.Running.StartedAt)}
	case s.Waiting != nil:
		return StateRecord{
			State:  StateWaiting,
			Reason: logtext.Line(s.Waiting.Reason, maxReason), Message: logtext.Text(s.Waiting.Message, message),
		}
	default:
		return StateRecord{State: StateUnknown}
	}
}

func line(name string) string { return logtext.Line(name, maxName) }

func timestamp(t metav1.Time) string { return rfc3339(t.Time) }

// rfc3339 returns t in UTC, "" for the zero time.
func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// seconds returns the whole seconds from start to end, nil if either is not
// known; never less than 0.
func seconds(start, end time.Time) *int64 {
	if start.IsZero() || end.IsZero() {
		return nil
	}
	n := max(0, int64(end.Sub(start)/time.Second))
	return &n
}
