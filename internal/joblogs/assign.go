package joblogs

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/results"
)

// statusUnknown is the reason with which the kubelet reports a container that
// it lost sight of, in a terminated state that tells nothing.
const statusUnknown = "ContainerStatusUnknown"

// maxCaptureMessage bounds a capture's message, in bytes.
const maxCaptureMessage = 1 << 10

// task is one log to read.
type task struct {
	pod       *corev1.Pod
	container string
	previous  bool
	// containerID is the instance's as the kubelet tells it; may be "".
	containerID string
	// end is how the instance ended, so that its log has an end; nil while it
	// runs.
	end *corev1.ContainerStateTerminated
	// superseded is true if a later instance has terminated too.
	superseded bool
	// log is where the outcome goes.
	log *results.ContainerLog
}

// failed reports whether the instance, or its pod, is known to have failed.
func (t *task) failed() bool {
	return t.pod.Status.Phase == corev1.PodFailed || t.end != nil && (t.end.ExitCode != 0 || t.end.Signal != 0)
}

// assign decides for every container of pods which logs to read, and fills in
// why for those that cannot be.
func assign(pods []*corev1.Pod) ([]results.Pod, []*task) {
	collected := make([]results.Pod, len(pods))
	var tasks []*task
	for i, pod := range pods {
		containers := results.Containers(pod)
		// Tasks point into logs, so it must not grow beyond this.
		logs := make([]results.ContainerLog, 0, 2*len(containers))
		for _, c := range containers {
			if c.PreviousEnd() != nil {
				logs = append(logs, results.ContainerLog{Container: c.Name, Previous: true})
				tasks = append(tasks, assignPrevious(pod, c, &logs[len(logs)-1])...)
			}
			logs = append(logs, results.ContainerLog{Container: c.Name})
			tasks = append(tasks, assignCurrent(pod, c, &logs[len(logs)-1])...)
		}
		collected[i] = results.Pod{Pod: pod, Logs: logs}
	}
	return collected, tasks
}

// assignPrevious returns the task to read the instance before the last
// restart, or none, with the reason in log.
func assignPrevious(pod *corev1.Pod, c results.Container, log *results.ContainerLog) []*task {
	end := c.PreviousEnd()
	if lost(end) {
		log.Capture = notRetryable(results.ReasonContainerGone, "the kubelet lost the container")
		return nil
	}
	log.InstanceID = end.ContainerID
	return []*task{{
		pod: pod, container: log.Container, previous: true,
		containerID: end.ContainerID, end: end, superseded: c.State().Terminated != nil, log: log,
	}}
}

// assignCurrent returns the task to read the last instance of c, or none, with
// the reason in log.
func assignCurrent(pod *corev1.Pod, c results.Container, log *results.ContainerLog) []*task {
	state := c.State()
	switch {
	case pod.Spec.NodeName == "":
		log.Capture = neverStarted(pod, join("the pod was never scheduled", unscheduled(pod)))
	case state.Running != nil && !c.Status.Ready && pod.DeletionTimestamp == nil:
		log.Capture = unlessFinal(pod, results.ReasonNotReady, "the container was running but not ready")
	case state.Running != nil:
		log.InstanceID = c.Status.ContainerID
		return []*task{{pod: pod, container: c.Name, containerID: c.Status.ContainerID, log: log}}
	case state.Terminated != nil:
		log.Capture = terminatedWithoutLog(pod, c, state.Terminated)
		if log.Capture.Reason == "" {
			log.InstanceID = state.Terminated.ContainerID
			return []*task{{
				pod: pod, container: c.Name, containerID: state.Terminated.ContainerID, end: state.Terminated, log: log,
			}}
		}
	default:
		log.Capture = notStarted(pod, c, state.Waiting)
	}
	return nil
}

// terminatedWithoutLog returns why a terminated instance has no log to ask
// for, or the zero Capture if it has.
func terminatedWithoutLog(pod *corev1.Pod, c results.Container, end *corev1.ContainerStateTerminated) results.Capture {
	restarted := c.PreviousEnd() != nil
	switch {
	case end.Reason == statusUnknown:
		return notRetryable(results.ReasonContainerGone, "the kubelet lost the container")
	case !lost(end) && (end.ContainerID != "" || !restarted):
		return results.Capture{}
	case lost(end) && restarted:
		return results.Capture{
			Complete: true, Reason: results.ReasonNotStartedAgain,
			Message: logtext.Line(join(end.Reason, end.Message), maxCaptureMessage),
		}
	case lost(end):
		return neverStarted(pod, join(end.Reason, end.Message))
	default:
		// Asked without a container ID, the kubelet would send the log of the
		// instance before.
		return notRetryable(results.ReasonContainerGone, "the kubelet no longer knows the container")
	}
}

// lost reports whether nothing tells that the instance ever ran.
func lost(end *corev1.ContainerStateTerminated) bool {
	return end.ContainerID == "" && end.StartedAt.IsZero()
}

// notStarted returns the capture of a container that waits, or of which the
// kubelet has told nothing.
func notStarted(pod *corev1.Pod, c results.Container, waiting *corev1.ContainerStateWaiting) results.Capture {
	why := join(pod.Status.Reason, pod.Status.Message)
	if waiting != nil {
		why = join(waiting.Reason, waiting.Message)
	}
	if c.PreviousEnd() != nil {
		return results.Capture{
			Complete: true, Reason: results.ReasonNotStartedAgain, Message: logtext.Line(why, maxCaptureMessage),
		}
	}
	return neverStarted(pod, why)
}

// neverStarted returns the capture of a container that never ran, which has no log to
// lose. Of a pod on a node that is known for certain only once the kubelet has reported
// the pod's end: until then a container may start, or have started. So may one of a pod
// in phase Unknown, of which the watch missed the last states.
func neverStarted(pod *corev1.Pod, why string) results.Capture {
	c := notRetryable(results.ReasonNeverStarted, why)
	if c.Complete = endReported(pod) || pod.Spec.NodeName == "" && pod.Status.Phase != corev1.PodUnknown; !c.Complete {
		c.Message = join("the node did not report the end of the pod", c.Message)
	}
	return c
}

// endReported reports whether the kubelet has reported the pod's end. Of a pod of which
// the node is gone the garbage collector does.
func endReported(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Reason == "DeletionByPodGC" {
			return false
		}
	}
	return jobstatus.PodEnded(pod)
}

// unscheduled returns what the scheduler says, "" if nothing.
func unscheduled(pod *corev1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status != corev1.ConditionTrue {
			return c.Message
		}
	}
	return ""
}

func notRetryable(reason, message string) results.Capture {
	return results.Capture{Reason: reason, Message: logtext.Line(message, maxCaptureMessage)}
}

func retryable(reason, message string) results.Capture {
	c := notRetryable(reason, message)
	c.Retryable = true
	return c
}

// unlessFinal returns a capture that is retryable while the pod can still change.
func unlessFinal(pod *corev1.Pod, reason, message string) results.Capture {
	if jobstatus.PodEnded(pod) {
		return notRetryable(reason, message)
	}
	return retryable(reason, message)
}

// join puts a colon between what there is of its arguments.
func join(a, b string) string {
	return strings.Trim(a+": "+b, ": ")
}
