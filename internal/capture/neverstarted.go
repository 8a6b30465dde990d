package capture

import (
	corev1 "k8s.io/api/core/v1"
)

// statusUnknown is the reason with which the kubelet reports a container that it
// cannot find when the pod has ended.
const statusUnknown = "ContainerStatusUnknown"

// neverStarted returns the pod now with the states from before of the containers
// that waited then and are said to be lost now: of a deleted pod the kubelet says
// so of containers too that it never started, and nothing of why.
func neverStarted(before, now *corev1.Pod) *corev1.Pod {
	changed := now
	for _, statuses := range []func(*corev1.Pod) []corev1.ContainerStatus{
		func(p *corev1.Pod) []corev1.ContainerStatus { return p.Status.InitContainerStatuses },
		func(p *corev1.Pod) []corev1.ContainerStatus { return p.Status.ContainerStatuses },
	} {
		for i, status := range statuses(now) {
			waited := waitedToStart(statuses(before), status.Name)
			if waited == nil || !unknown(status) {
				continue
			}
			if changed == now {
				changed = now.DeepCopy()
			}
			statuses(changed)[i].State = *waited
		}
	}
	return changed
}

// waitedToStart returns the state of a container that waited to be started for
// the first time, nil if it did not.
func waitedToStart(statuses []corev1.ContainerStatus, name string) *corev1.ContainerState {
	for i := range statuses {
		s := &statuses[i]
		if s.Name == name && s.State.Waiting != nil && s.LastTerminationState.Terminated == nil && s.RestartCount == 0 {
			return &s.State
		}
	}
	return nil
}

// unknown reports whether the kubelet cannot find the container, and knows of
// nothing that it did.
func unknown(status corev1.ContainerStatus) bool {
	end := status.State.Terminated
	return end != nil && end.Reason == statusUnknown && end.ContainerID == "" && end.StartedAt.IsZero()
}
