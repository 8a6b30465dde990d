package why

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/logtext"
)

// maxDetail bounds what an Explanation quotes, in bytes.
const maxDetail = 512

// Explanation is the reason for which a Job failed that explains most. The zero value:
// nothing explains more than the Job's own condition.
type Explanation struct {
	// Reason is one word, such as ErrImagePull, OOMKilled or FailedMount.
	Reason string
	// Pod is the pod that it is about, "" if it is about the Job; Container the
	// container, "" if it is about the pod. Init says that this is an init container.
	Pod, Container string
	Init           bool
	// ExitCode is how the container ended; nil where none did.
	ExitCode *int32
	// Detail is what the scheduler, the kubelet, a controller or, of a container that
	// ended, the program says, on one line; may be "".
	Detail string
}

// String returns the explanation on one line.
func (e Explanation) String() string {
	if e.Detail == "" {
		return e.about()
	}
	return e.about() + ": " + logtext.Line(strings.TrimSpace(e.Detail), maxDetail)
}

// Quotable is String without what others wrote: names, the exit code, and the reason
// where it is one that Kubernetes gives. "" if there is nothing.
func (e Explanation) Quotable() string {
	if !quotable.Has(e.Reason) {
		e.Reason = ""
	}
	e.Detail = ""
	return e.about()
}

// about returns where and what: "pod p, container c: OOMKilled, exit code 137".
func (e Explanation) about() string {
	var where, what []string
	if e.Pod != "" {
		where = append(where, "pod "+line(e.Pod))
	}
	switch {
	case e.Container != "" && e.Init:
		where = append(where, "init container "+line(e.Container))
	case e.Container != "":
		where = append(where, "container "+line(e.Container))
	}
	if e.Reason != "" {
		what = append(what, line(e.Reason))
	}
	if e.ExitCode != nil {
		what = append(what, fmt.Sprintf("exit code %d", *e.ExitCode))
	}
	if len(where) == 0 || len(what) == 0 {
		return strings.Join(append(where, what...), ", ")
	}
	return strings.Join(where, ", ") + ": " + strings.Join(what, ", ")
}

// How much a kind of reason explains.
const (
	fromRestart = iota + 1
	fromEvent
	fromExit
	fromMemory
	fromStart
	fromPod
	fromJobEvent
	fromEventOfPod
	fromScheduler
	fromWaiting
	// ofFailure is added for a pod that failed by itself, where the Job failed because
	// of its pods: another pod may wait that has nothing to do with it.
	ofFailure = 100
)

// candidate is one reason that may explain.
type candidate struct {
	Explanation
	weight  int
	created time.Time
}

// Explain returns what explains most why a Job with this outcome failed, given its
// pods, as Keep left them, and its Events. It returns the zero Explanation for a Job
// that did not fail.
func Explain(outcome jobstatus.Outcome, pods []*corev1.Pod, events []Event) Explanation {
	if outcome.Phase != jobstatus.Failed {
		return Explanation{}
	}
	byPod, found := sortEvents(events)
	ofPods := outcome.Reason != batchv1.JobReasonDeadlineExceeded
	for _, pod := range pods {
		for _, c := range explainPod(pod, byPod[pod.UID]) {
			c.Pod, c.created = pod.Name, pod.CreationTimestamp.Time
			if ofPods && failedByItself(pod) {
				c.weight += ofFailure
			}
			found = append(found, c)
		}
		delete(byPod, pod.UID)
	}
	// Of pods that were gone before they were seen, Events may be all there is.
	for _, of := range byPod {
		if e, is := mostExplaining(of); is {
			found = append(found, candidate{Explanation{Pod: e.Name, Reason: e.Reason, Detail: e.Message}, fromEvent, e.Last})
		}
	}
	if len(found) == 0 {
		return Explanation{}
	}
	return slices.MaxFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.weight, b.weight), a.created.Compare(b.created), cmp.Compare(b.Pod, a.Pod), cmp.Compare(b.Reason, a.Reason))
	}).Explanation
}

// sortEvents returns the Events that may explain: those of pods, and what the Job's own
// say of why it has no pod.
func sortEvents(events []Event) (byPod map[types.UID][]Event, ofJob []candidate) {
	byPod = map[types.UID][]Event{}
	for _, e := range events {
		switch {
		case consequences.Has(e.Reason):
		case e.Kind == "Pod":
			byPod[e.UID] = append(byPod[e.UID], e)
		case e.Reason == "FailedCreate":
			ofJob = append(ofJob, candidate{Explanation{Reason: e.Reason, Detail: e.Message}, fromJobEvent, e.Last})
		}
	}
	return byPod, ofJob
}

// failedByItself reports whether the pod failed, and not because it was deleted.
func failedByItself(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed && pod.DeletionTimestamp == nil
}

// explainPod returns what may explain why a pod failed or did not run.
func explainPod(pod *corev1.Pod, events []Event) []candidate {
	var found []candidate
	if NeverStarted(pod) {
		if c, is := explainWaiting(pod, events); is {
			found = append(found, c)
		}
	}
	for _, list := range statusLists {
		for i := range *list(pod) {
			if c, is := explainContainer(pod, &(*list(pod))[i]); is {
				c.Init = list(pod) == &pod.Status.InitContainerStatuses
				found = append(found, c)
			}
		}
	}
	if c, is := explainStatus(pod); is {
		found = append(found, c)
	}
	if e, is := mostExplaining(events); is && !NeverStarted(pod) {
		found = append(found, candidate{Explanation: Explanation{Reason: e.Reason, Detail: e.Message}, weight: fromEvent})
	}
	return found
}

// explainWaiting returns why no container of the pod has started: because it was not
// scheduled, or by what was told of it last.
func explainWaiting(pod *corev1.Pod, events []Event) (candidate, bool) {
	if scheduled := conditionOf(pod, corev1.PodScheduled); scheduled != nil && scheduled.Status != corev1.ConditionTrue && scheduled.Message != "" {
		return candidate{Explanation: Explanation{Reason: scheduled.Reason, Detail: scheduled.Message}, weight: fromScheduler}, true
	}
	if e, is := mostExplaining(events); is {
		return candidate{Explanation: Explanation{Reason: e.Reason, Detail: often(e)}, weight: fromEventOfPod}, true
	}
	return candidate{}, false
}

// often returns the message of the Event, with how often it was seen.
func often(e Event) string {
	if e.Count < 2 {
		return e.Message
	}
	return fmt.Sprintf("%s (%d times)", logtext.Line(e.Message, maxDetail), e.Count)
}

// explainContainer returns why a container of the pod waits, or how it failed.
func explainContainer(pod *corev1.Pod, s *corev1.ContainerStatus) (candidate, bool) {
	c := candidate{Explanation: Explanation{Container: s.Name}}
	if !started(s) && Telling(s.State.Waiting) {
		c.Reason, c.Detail, c.weight = s.State.Waiting.Reason, s.State.Waiting.Message, fromWaiting
		return c, true
	}
	end, weight := failure(pod, s)
	if end == nil {
		return c, false
	}
	c.Reason, c.ExitCode, c.Detail, c.weight = end.Reason, &end.ExitCode, end.Message, weight
	switch end.Reason {
	case oomKilled:
		c.weight = max(c.weight, fromMemory)
		c.Detail = ofMemory(end)
	case "StartError", "ContainerCannotRun":
		c.weight = max(c.weight, fromStart)
	}
	return c, true
}

// failure returns how the container failed, nil if it did not: its last instance or,
// where that did not end by itself, the one before.
func failure(pod *corev1.Pod, s *corev1.ContainerStatus) (end *corev1.ContainerStateTerminated, weight int) {
	last, before := s.State.Terminated, s.LastTerminationState.Terminated
	switch {
	case last != nil && !unknown(s) && failed(last) && !killed(pod, last):
		return last, fromExit
	case before != nil && failed(before) && (last == nil || failed(last)):
		return before, fromRestart
	default:
		return nil, 0
	}
}

// oomKilled is the reason with which a container ends that the kernel killed for want of
// memory, or a process of it.
const oomKilled = "OOMKilled"

// ofMemory says what OOMKilled means: the container runtime gives this reason also where
// the kernel killed another process than the first one, which went on and ended by itself.
func ofMemory(end *corev1.ContainerStateTerminated) string {
	const killed = 137
	said := "the container used more memory than its limit"
	if end.ExitCode != killed && end.Signal == 0 {
		said = "a process in the container was killed since it used more memory than the container's limit; the program continued and ended by itself"
	}
	if end.Message == "" {
		return said
	}
	return said + ": " + end.Message
}

func failed(end *corev1.ContainerStateTerminated) bool {
	return end.ExitCode != 0 || end.Signal != 0 || end.Reason == oomKilled
}

// killed reports whether the container ended since its pod was deleted, so that it says
// nothing of why that was. An end for want of memory says something at any time.
func killed(pod *corev1.Pod, end *corev1.ContainerStateTerminated) bool {
	if pod.DeletionTimestamp == nil || end.Reason == oomKilled {
		return false
	}
	grace := time.Duration(0)
	if pod.DeletionGracePeriodSeconds != nil {
		// A pod may have any number; a year is longer than all that matter.
		grace = time.Duration(min(*pod.DeletionGracePeriodSeconds, 365*24*3600)) * time.Second
	}
	return !end.FinishedAt.Time.Before(pod.DeletionTimestamp.Add(-grace))
}

// explainStatus returns what the pod's status or its condition DisruptionTarget says:
// evicted, preempted, refused by the node.
func explainStatus(pod *corev1.Pod) (candidate, bool) {
	if pod.Status.Reason != "" {
		return candidate{Explanation: Explanation{Reason: pod.Status.Reason, Detail: pod.Status.Message}, weight: fromPod}, true
	}
	if target := conditionOf(pod, corev1.DisruptionTarget); target != nil && target.Status == corev1.ConditionTrue && target.Reason != "" {
		return candidate{Explanation: Explanation{Reason: target.Reason, Detail: target.Message}, weight: fromPod}, true
	}
	return candidate{}, false
}

func conditionOf(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == kind {
			return c
		}
	}
	return nil
}

// EventOf returns the Event about the pod that explains most why it does not run.
func EventOf(pod *corev1.Pod, events []Event) (Event, bool) {
	return mostExplaining(slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return e.UID != pod.UID }))
}

// mostExplaining returns the Event of a pod that explains most why it does not run, the
// latest of those that explain as much.
func mostExplaining(events []Event) (Event, bool) {
	place := func(e Event) int {
		if at := slices.Index(explaining, e.Reason); at >= 0 {
			return at
		}
		return len(explaining)
	}
	events = slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return consequences.Has(e.Reason) })
	if len(events) == 0 {
		return Event{}, false
	}
	return slices.MinFunc(events, func(a, b Event) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), b.Last.Compare(a.Last), cmp.Compare(a.Message, b.Message))
	}), true
}
