package capture

import (
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// maxContainers is how many containers a pod may have, of its spec and of its
	// status each. A pod of some 1.5 MiB, which is what etcd takes, could have a few
	// thousand.
	maxContainers = 1000
	// maxOthers is how many owners, annotations, finalizers and conditions it may have,
	// each.
	maxOthers = 16
	// logMemory is more than what a log takes besides its text, in bytes.
	logMemory = 1 << 10
)

// What parts of a pod take in memory, in bytes.
var (
	podMemory       = size[corev1.Pod]()
	ownerMemory     = size[metav1.OwnerReference]()
	conditionMemory = size[corev1.PodCondition]()
	containerMemory = max(size[corev1.Container](), size[corev1.EphemeralContainer]())
	statusMemory    = size[corev1.ContainerStatus]() + 2*size[corev1.ContainerStateTerminated]()
)

func size[T any]() int { return int(reflect.TypeFor[T]().Size()) }

// containers returns how many containers the spec and the status have.
func (p *podJSON) containers() (spec, status int) {
	return len(p.Spec.Init) + len(p.Spec.Main) + len(p.Spec.Ephemeral),
		len(p.Status.Init) + len(p.Status.Main) + len(p.Status.Ephemeral)
}

// memory returns what the pod takes as a corev1.Pod, without its strings.
func (p *podJSON) memory() int {
	spec, status := p.containers()
	return podMemory + spec*containerMemory + status*statusMemory +
		len(p.Metadata.Owners)*ownerMemory + len(p.Status.Conditions)*conditionMemory
}

// check returns what is wrong with a pod that is to be one of job. A pod without a
// controller may be: the garbage collector takes it from the pods of a Job that is
// deleted with the propagation policy Orphan.
func (p *podJSON) check(job types.UID) error {
	spec, status := p.containers()
	switch {
	case p.Metadata.UID == "":
		return fmt.Errorf("%w: a pod without a UID", errForeign)
	case p.controller() != "" && p.controller() != job:
		return fmt.Errorf("%w: a pod of another Job", errForeign)
	case spec > maxContainers || status > maxContainers:
		return fmt.Errorf("%w: a pod of more than %d containers", errForeign, maxContainers)
	case max(len(p.Metadata.Owners), len(p.Metadata.Annotations), len(p.Metadata.Finalizers), len(p.Status.Conditions)) > maxOthers:
		return fmt.Errorf("%w: a pod with more than what is kept of one", errForeign)
	}
	return nil
}

func (p *podJSON) controller() types.UID {
	for _, owner := range p.Metadata.Owners {
		if owner.Controller != nil && *owner.Controller {
			return owner.UID
		}
	}
	return ""
}

// pod returns what is stored as a pod.
func (p *podJSON) pod() (*corev1.Pod, error) {
	var times times
	m := &p.Metadata
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: m.Namespace, Name: m.Name, UID: m.UID, CreationTimestamp: times.of(m.Created),
			DeletionTimestamp: times.optional(m.Deleted), DeletionGracePeriodSeconds: m.Grace, Annotations: m.Annotations,
			Finalizers: m.Finalizers,
		},
		Spec: corev1.PodSpec{
			NodeName: p.Spec.Node, RestartPolicy: corev1.RestartPolicy(p.Spec.RestartPolicy),
			InitContainers: containersOf(p.Spec.Init), Containers: containersOf(p.Spec.Main),
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodPhase(p.Status.Phase), Reason: p.Status.Reason, Message: p.Status.Message,
			InitContainerStatuses: times.statuses(p.Status.Init), ContainerStatuses: times.statuses(p.Status.Main),
			EphemeralContainerStatuses: times.statuses(p.Status.Ephemeral),
		},
	}
	for _, o := range m.Owners {
		pod.OwnerReferences = append(pod.OwnerReferences, metav1.OwnerReference{
			APIVersion: o.APIVersion, Kind: o.Kind, Name: o.Name, UID: o.UID, Controller: o.Controller, BlockOwnerDeletion: o.Block,
		})
	}
	for _, c := range p.Spec.Ephemeral {
		pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: c.Name, Image: c.Image},
		})
	}
	for _, c := range p.Status.Conditions {
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
			Type: corev1.PodConditionType(c.Type), Status: corev1.ConditionStatus(c.Status), Reason: c.Reason, Message: c.Message,
		})
	}
	return pod, times.err
}

func containersOf(list []containerJSON) []corev1.Container {
	containers := make([]corev1.Container, 0, len(list))
	for _, c := range list {
		containers = append(containers, corev1.Container{Name: c.Name, Image: c.Image, RestartPolicy: c.RestartPolicy})
	}
	return containers
}

// times reads times, and keeps the first error.
type times struct{ err error }

func (t *times) of(text string) metav1.Time {
	at, err := timeOf(text)
	if t.err == nil {
		t.err = err
	}
	return at
}

func (t *times) optional(text string) *metav1.Time {
	if text == "" {
		return nil
	}
	return new(t.of(text))
}

func (t *times) statuses(list []containerStatusJSON) []corev1.ContainerStatus {
	statuses := make([]corev1.ContainerStatus, 0, len(list))
	for i := range list {
		s := &list[i]
		statuses = append(statuses, corev1.ContainerStatus{
			Name: s.Name, Image: s.Image, ImageID: s.ImageID, ContainerID: s.ContainerID, Ready: s.Ready, Started: s.Started,
			RestartCount: s.Restarts, State: t.state(&s.State), LastTerminationState: t.state(&s.LastState),
		})
	}
	return statuses
}

func (t *times) state(s *stateJSON) corev1.ContainerState {
	var state corev1.ContainerState
	if s.Waiting != nil {
		state.Waiting = &corev1.ContainerStateWaiting{Reason: s.Waiting.Reason, Message: s.Waiting.Message}
	}
	if s.Running != nil {
		state.Running = &corev1.ContainerStateRunning{StartedAt: t.of(s.Running.StartedAt)}
	}
	if end := s.Terminated; end != nil {
		state.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: end.ExitCode, Signal: end.Signal, Reason: end.Reason, Message: end.Message,
			StartedAt: t.of(end.StartedAt), FinishedAt: t.of(end.FinishedAt), ContainerID: end.ContainerID,
		}
	}
	return state
}
