package capture

import (
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

// maxPodMessage bounds a message of a pod or a container, in bytes. The kubelet keeps
// 4 KiB of a termination message.
const maxPodMessage = 32 << 10

// podJSON is what is stored of a pod: what results tell of it, without what its
// labels and environment may hold besides. The names of its fields are those of
// corev1.Pod, which earlier versions stored. It is not decoded into a corev1.Pod,
// where an empty container takes 3 bytes of text and hundreds of memory.
type podJSON struct {
	Metadata metaJSON   `json:"metadata"`
	Spec     specJSON   `json:"spec"`
	Status   statusJSON `json:"status"`
}

type metaJSON struct {
	Namespace   string            `json:"namespace,omitempty"`
	Name        string            `json:"name,omitempty"`
	UID         types.UID         `json:"uid,omitempty"`
	Created     string            `json:"creationTimestamp,omitempty"`
	Deleted     string            `json:"deletionTimestamp,omitempty"`
	Grace       *int64            `json:"deletionGracePeriodSeconds,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Owners      []ownerJSON       `json:"ownerReferences,omitempty"`
	Finalizers  []string          `json:"finalizers,omitempty"`
}

type ownerJSON struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Name       string    `json:"name"`
	UID        types.UID `json:"uid"`
	Controller *bool     `json:"controller,omitempty"`
	Block      *bool     `json:"blockOwnerDeletion,omitempty"`
}

type specJSON struct {
	Node          string          `json:"nodeName,omitempty"`
	RestartPolicy string          `json:"restartPolicy,omitempty"`
	Init          []containerJSON `json:"initContainers,omitempty"`
	Main          []containerJSON `json:"containers"`
	Ephemeral     []containerJSON `json:"ephemeralContainers,omitempty"`
}

type containerJSON struct {
	Name          string                         `json:"name"`
	Image         string                         `json:"image,omitempty"`
	RestartPolicy *corev1.ContainerRestartPolicy `json:"restartPolicy,omitempty"`
}

type statusJSON struct {
	Phase      string                `json:"phase,omitempty"`
	Reason     string                `json:"reason,omitempty"`
	Message    string                `json:"message,omitempty"`
	Conditions []conditionJSON       `json:"conditions,omitempty"`
	Init       []containerStatusJSON `json:"initContainerStatuses,omitempty"`
	Main       []containerStatusJSON `json:"containerStatuses,omitempty"`
	Ephemeral  []containerStatusJSON `json:"ephemeralContainerStatuses,omitempty"`
}

type conditionJSON struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

type containerStatusJSON struct {
	Name        string    `json:"name"`
	Image       string    `json:"image"`
	ImageID     string    `json:"imageID"`
	ContainerID string    `json:"containerID,omitempty"`
	Ready       bool      `json:"ready"`
	Started     *bool     `json:"started,omitempty"`
	Restarts    int32     `json:"restartCount"`
	State       stateJSON `json:"state,omitzero"`
	LastState   stateJSON `json:"lastState,omitzero"`
}

type stateJSON struct {
	Waiting    *waitingJSON    `json:"waiting,omitempty"`
	Running    *runningJSON    `json:"running,omitempty"`
	Terminated *terminatedJSON `json:"terminated,omitempty"`
}

type waitingJSON struct {
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

type runningJSON struct {
	StartedAt string `json:"startedAt,omitempty"`
}

type terminatedJSON struct {
	ExitCode    int32  `json:"exitCode"`
	Signal      int32  `json:"signal,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Message     string `json:"message,omitempty"`
	StartedAt   string `json:"startedAt,omitempty"`
	FinishedAt  string `json:"finishedAt,omitempty"`
	ContainerID string `json:"containerID,omitempty"`
}

// newPodJSON returns what is stored of a pod, with its messages redacted.
func newPodJSON(pod *corev1.Pod, rules *redact.Set) *podJSON {
	pod = results.RedactPod(rules, pod)
	p := &podJSON{
		Metadata: metaJSON{
			Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Created: timeText(pod.CreationTimestamp),
			Grace: pod.DeletionGracePeriodSeconds,
		},
		Spec: specJSON{
			Node: pod.Spec.NodeName, RestartPolicy: string(pod.Spec.RestartPolicy),
			Init: newContainers(pod.Spec.InitContainers), Main: newContainers(pod.Spec.Containers),
		},
		Status: statusJSON{
			Phase: string(pod.Status.Phase), Reason: pod.Status.Reason, Message: short(pod.Status.Message),
			Init: newStatuses(pod.Status.InitContainerStatuses), Main: newStatuses(pod.Status.ContainerStatuses),
			Ephemeral: newStatuses(pod.Status.EphemeralContainerStatuses),
		},
	}
	if pod.DeletionTimestamp != nil {
		p.Metadata.Deleted = timeText(*pod.DeletionTimestamp)
	}
	if index, indexed := pod.Annotations[batchv1.JobCompletionIndexAnnotation]; indexed {
		p.Metadata.Annotations = map[string]string{batchv1.JobCompletionIndexAnnotation: index}
	}
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
		p.Metadata.Owners = []ownerJSON{{
			APIVersion: owner.APIVersion, Kind: owner.Kind, Name: owner.Name, UID: owner.UID,
			Controller: owner.Controller, Block: owner.BlockOwnerDeletion,
		}}
	}
	if tracked(pod) {
		p.Metadata.Finalizers = []string{batchv1.JobTrackingFinalizer}
	}
	for _, c := range pod.Spec.EphemeralContainers {
		p.Spec.Ephemeral = append(p.Spec.Ephemeral, containerJSON{Name: c.Name, Image: c.Image})
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled || c.Type == corev1.DisruptionTarget {
			p.Status.Conditions = append(p.Status.Conditions, conditionJSON{
				Type: string(c.Type), Status: string(c.Status), Reason: c.Reason, Message: short(c.Message),
			})
		}
	}
	return p
}

func newContainers(containers []corev1.Container) []containerJSON {
	list := make([]containerJSON, 0, len(containers))
	for _, c := range containers {
		list = append(list, containerJSON{Name: c.Name, Image: c.Image, RestartPolicy: c.RestartPolicy})
	}
	return list
}

func newStatuses(statuses []corev1.ContainerStatus) []containerStatusJSON {
	var list []containerStatusJSON
	for _, s := range statuses {
		list = append(list, containerStatusJSON{
			Name: s.Name, Image: s.Image, ImageID: s.ImageID, ContainerID: s.ContainerID, Ready: s.Ready, Started: s.Started,
			Restarts: s.RestartCount, State: newState(s.State), LastState: newState(s.LastTerminationState),
		})
	}
	return list
}

func newState(s corev1.ContainerState) stateJSON {
	var state stateJSON
	if s.Waiting != nil {
		state.Waiting = &waitingJSON{Reason: s.Waiting.Reason, Message: short(s.Waiting.Message)}
	}
	if s.Running != nil {
		state.Running = &runningJSON{StartedAt: timeText(s.Running.StartedAt)}
	}
	if end := s.Terminated; end != nil {
		state.Terminated = &terminatedJSON{
			ExitCode: end.ExitCode, Signal: end.Signal, Reason: end.Reason, Message: short(end.Message),
			StartedAt: timeText(end.StartedAt), FinishedAt: timeText(end.FinishedAt), ContainerID: end.ContainerID,
		}
	}
	return state
}

// short returns what is stored of a message.
func short(message string) string {
	if len(message) <= maxPodMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxPodMessage], "")
}

// timeText returns t as metav1.Time is written in JSON, "" for the zero time.
func timeText(t metav1.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func timeOf(text string) (metav1.Time, error) {
	if text == "" {
		return metav1.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return metav1.Time{}, fmt.Errorf("%w: a time that is none: %w", errForeign, err)
	}
	return metav1.NewTime(t.Local()), nil
}
