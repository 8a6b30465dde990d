package results

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Kind is the part that a container plays in its pod.
type Kind string

// The kinds of containers, in the order in which Containers lists them; init
// containers and sidecars keep their common order.
const (
	KindInit      Kind = "init"
	KindSidecar   Kind = "sidecar"
	KindMain      Kind = "main"
	KindEphemeral Kind = "ephemeral"
)

// Container is one container of a pod as its spec and its status tell.
type Container struct {
	Name string
	Kind Kind
	// Image is the image asked for, or, where the spec lacks the container,
	// the one that the status names.
	Image string
	// Status is nil if the kubelet has reported none.
	Status *corev1.ContainerStatus
}

// Containers lists every container of pod: those of the spec, then those that
// only a status names.
func Containers(pod *corev1.Pod) []Container {
	spec, status := &pod.Spec, &pod.Status
	list := make([]Container, 0, len(spec.InitContainers)+len(spec.Containers))
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		kind := KindInit
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			kind = KindSidecar
		}
		list = append(list, Container{Name: c.Name, Kind: kind, Image: c.Image})
	}
	list = withStatuses(list, 0, KindInit, status.InitContainerStatuses)
	from := len(list)
	for i := range spec.Containers {
		c := &spec.Containers[i]
		list = append(list, Container{Name: c.Name, Kind: KindMain, Image: c.Image})
	}
	list = withStatuses(list, from, KindMain, status.ContainerStatuses)
	from = len(list)
	for i := range spec.EphemeralContainers {
		c := &spec.EphemeralContainers[i]
		list = append(list, Container{Name: c.Name, Kind: KindEphemeral, Image: c.Image})
	}
	return withStatuses(list, from, KindEphemeral, status.EphemeralContainerStatuses)
}

// withStatuses gives the containers list[from:] their statuses and adds those
// that only a status names.
func withStatuses(list []Container, from int, kind Kind, statuses []corev1.ContainerStatus) []Container {
	for i := range statuses {
		s := &statuses[i]
		at := slices.IndexFunc(list[from:], func(c Container) bool { return c.Name == s.Name })
		if at < 0 {
			list = append(list, Container{Name: s.Name, Kind: kind, Image: s.Image, Status: s})
			continue
		}
		list[from+at].Status = s
	}
	return list
}

// State returns the container's state; the zero state if none was reported.
func (c Container) State() corev1.ContainerState {
	if c.Status == nil {
		return corev1.ContainerState{}
	}
	return c.Status.State
}

// PreviousEnd returns how the instance before the last restart ended, nil if
// there was none or the kubelet does not know.
func (c Container) PreviousEnd() *corev1.ContainerStateTerminated {
	if c.Status == nil {
		return nil
	}
	return c.Status.LastTerminationState.Terminated
}

// EarlierInstances returns how many instances ended of which the kubelet has no log
// any more: all but the last and the one before it.
func (c Container) EarlierInstances() int {
	if c.Status == nil {
		return 0
	}
	earlier := int(c.Status.RestartCount)
	if end := c.PreviousEnd(); end != nil && !c.awaitsRestart() {
		earlier--
	}
	return max(0, earlier)
}

// awaitsRestart reports whether the instance that ended last was the latest one: the
// next one, which the container waits for, does not count as a restart yet.
func (c Container) awaitsRestart() bool {
	end := c.PreviousEnd()
	return c.State().Waiting != nil && end != nil && end.ContainerID != "" && end.ContainerID == c.Status.ContainerID
}

// Failed reports whether the container's latest end was a failure.
func (c Container) Failed() bool {
	end := c.State().Terminated
	if end == nil && c.State().Running == nil {
		end = c.PreviousEnd()
	}
	return end != nil && (end.ExitCode != 0 || end.Signal != 0)
}
