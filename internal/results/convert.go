package results

import (
	"slices"
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

	// The messages of containers and pods share allMessages fairly, each within
	// these bounds. The kubelet writes up to 4,096 bytes.
	minMessage  = 256
	maxMessage  = 4 << 10
	allMessages = 128 << 10
)

// messageLimit returns what a message of these containers or their pods may
// take, in bytes: short ones leave their part to the others.
func messageLimit(containers []*containerView) int {
	var sizes []int
	add := func(message string) {
		if message != "" {
			sizes = append(sizes, min(maxMessage, logtext.ReadableSize([]byte(message))))
		}
	}
	for _, c := range containers {
		add(c.pod.Status.Message)
		if c.Status != nil {
			add(message(c.Status.State))
			add(message(c.Status.LastTerminationState))
		}
	}
	limits := logtext.FairShare(sizes, allMessages)
	if slices.Equal(limits, sizes) {
		return maxMessage
	}
	return max(minMessage, slices.Max(limits))
}

func message(s corev1.ContainerState) string {
	switch {
	case s.Terminated != nil:
		return s.Terminated.Message
	case s.Waiting != nil:
		return s.Waiting.Message
	default:
		return ""
	}
}

// completionIndex returns the pod's index in an Indexed Job, nil if it has none.
func completionIndex(pod *corev1.Pod) *int {
	index, err := strconv.Atoi(pod.Annotations[batchv1.JobCompletionIndexAnnotation])
	if err != nil {
		return nil
	}
	return &index
}

func podRecord(pod *corev1.Pod, message int) PodRecord {
	r := PodRecord{
		Name: line(pod.Name), UID: line(string(pod.UID)), Node: line(pod.Spec.NodeName),
		Phase:   logtext.Line(string(pod.Status.Phase), maxReason),
		Reason:  logtext.Line(pod.Status.Reason, maxReason),
		Message: logtext.Text(pod.Status.Message, message), CreatedAt: timestamp(pod.CreationTimestamp),
		Index:      completionIndex(pod),
		Containers: []ContainerRecord{},
	}
	return r
}

// containerRecord tells of c all but its captures.
func containerRecord(c Container, message int) ContainerRecord {
	r := ContainerRecord{
		Name: line(c.Name), Kind: c.Kind, Image: logtext.Line(c.Image, maxImage),
		State: stateRecord(c.State(), message),
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
