package why

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// statusUnknown is the reason with which the kubelet reports a container that it
// cannot find when the pod has ended.
const statusUnknown = "ContainerStatusUnknown"

// Waiting reasons that say nothing: every container has one before it starts.
const (
	containerCreating = "ContainerCreating"
	podInitializing   = "PodInitializing"
)

// Keep returns the pod now, with the states from before of its containers that have
// not started, where those tell more: the kubelet replaces the reason for which a
// container waits by ContainerCreating or ContainerStatusUnknown when the pod is
// deleted or fails. before may be nil. Neither pod is changed: where something is
// kept, a copy is returned.
func Keep(before, now *corev1.Pod) *corev1.Pod {
	if before == nil {
		return now
	}
	kept := now
	for _, statuses := range statusLists {
		for i := range *statuses(before) {
			told := &(*statuses(before))[i]
			if told.State.Waiting == nil || started(told) {
				continue
			}
			list := *statuses(kept)
			at := slices.IndexFunc(list, func(s corev1.ContainerStatus) bool { return s.Name == told.Name })
			switch {
			case at < 0 && Telling(told.State.Waiting):
				kept = ownCopy(kept, now)
				*statuses(kept) = append(*statuses(kept), *told.DeepCopy())
			case at >= 0 && tellsMore(told, &list[at]):
				kept = ownCopy(kept, now)
				(*statuses(kept))[at].State = *told.State.DeepCopy()
			}
		}
	}
	return kept
}

// SaysNothing reports whether a reason is one for which every container waits before it
// starts.
func SaysNothing(reason string) bool {
	return reason == "" || reason == containerCreating || reason == podInitializing
}

// Telling reports whether a container waits for a reason that says something.
func Telling(waiting *corev1.ContainerStateWaiting) bool {
	return waiting != nil && !SaysNothing(waiting.Reason)
}

var statusLists = []func(*corev1.Pod) *[]corev1.ContainerStatus{
	func(p *corev1.Pod) *[]corev1.ContainerStatus { return &p.Status.InitContainerStatuses },
	func(p *corev1.Pod) *[]corev1.ContainerStatus { return &p.Status.ContainerStatuses },
}

// ownCopy returns the copy that may be changed, made once.
func ownCopy(kept, original *corev1.Pod) *corev1.Pod {
	if kept != original {
		return kept
	}
	return original.DeepCopy()
}

// tellsMore reports whether the state from before, in which a container waited to
// start, says more than the state now of a container that still has not started.
func tellsMore(before, now *corev1.ContainerStatus) bool {
	if started(now) {
		return false
	}
	return unknown(now) || Telling(before.State.Waiting) && !Telling(now.State.Waiting)
}

// started reports whether an instance of the container is known to have run.
func started(s *corev1.ContainerStatus) bool {
	return s.RestartCount > 0 || s.LastTerminationState.Terminated != nil || s.State.Running != nil ||
		s.State.Terminated != nil && !unknown(s)
}

// unknown reports whether the kubelet cannot find the container, and knows of nothing
// that it did.
func unknown(s *corev1.ContainerStatus) bool {
	end := s.State.Terminated
	return end != nil && end.Reason == statusUnknown && end.ContainerID == "" && end.StartedAt.IsZero()
}

// NeverStarted reports whether no container of the pod is known to have run.
func NeverStarted(pod *corev1.Pod) bool {
	for _, statuses := range statusLists {
		for i := range *statuses(pod) {
			if s := &(*statuses(pod))[i]; started(s) || unknown(s) {
				return false
			}
		}
	}
	return true
}
