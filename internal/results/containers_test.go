package results

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestContainers(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	pod := &corev1.Pod{
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{
				{Name: "setup", Image: "a"}, {Name: "proxy", Image: "b", RestartPolicy: &always}, {Name: "migrate", Image: "c"},
			},
			Containers: []corev1.Container{{Name: "main", Image: "d"}, {Name: "side", Image: "e"}},
			EphemeralContainers: []corev1.EphemeralContainer{
				{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debugger", Image: "f"}},
			},
		},
		Status: corev1.PodStatus{
			InitContainerStatuses:      []corev1.ContainerStatus{{Name: "migrate"}, {Name: "setup"}},
			ContainerStatuses:          []corev1.ContainerStatus{{Name: "side"}, {Name: "unknown", Image: "g"}},
			EphemeralContainerStatuses: []corev1.ContainerStatus{{Name: "debugger"}},
		},
	}
	status := &pod.Status
	want := []Container{
		{Name: "setup", Kind: KindInit, Image: "a", Status: &status.InitContainerStatuses[1]},
		{Name: "proxy", Kind: KindSidecar, Image: "b"},
		{Name: "migrate", Kind: KindInit, Image: "c", Status: &status.InitContainerStatuses[0]},
		{Name: "main", Kind: KindMain, Image: "d"},
		{Name: "side", Kind: KindMain, Image: "e", Status: &status.ContainerStatuses[0]},
		{Name: "unknown", Kind: KindMain, Image: "g", Status: &status.ContainerStatuses[1]},
		{Name: "debugger", Kind: KindEphemeral, Image: "f", Status: &status.EphemeralContainerStatuses[0]},
	}
	if diff := cmp.Diff(want, Containers(pod)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Containers(&corev1.Pod{}); len(got) != 0 {
		t.Errorf("an empty pod has %v", got)
	}
}

func TestContainerHistory(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}
	killed := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Signal: 9}}
	lastID := exited(1)
	lastID.Terminated.ContainerID = "containerd://2"
	tests := map[string]struct {
		status  *corev1.ContainerStatus
		failed  bool
		earlier int
	}{
		"not reported":           {},
		"succeeded":              {status: &corev1.ContainerStatus{State: exited(0)}},
		"failed":                 {status: &corev1.ContainerStatus{State: exited(3)}, failed: true},
		"killed":                 {status: &corev1.ContainerStatus{State: killed}, failed: true},
		"running":                {status: &corev1.ContainerStatus{State: running}},
		"restarted once":         {status: &corev1.ContainerStatus{State: exited(0), LastTerminationState: exited(1), RestartCount: 1}},
		"restarted three times":  {status: &corev1.ContainerStatus{State: exited(0), LastTerminationState: exited(1), RestartCount: 3}, earlier: 2},
		"previous end not known": {status: &corev1.ContainerStatus{State: exited(0), RestartCount: 1}, earlier: 1},
		"waits after a failure":  {status: &corev1.ContainerStatus{State: waiting, LastTerminationState: exited(1), RestartCount: 1}, failed: true},
		"waits to be started again": {
			status: &corev1.ContainerStatus{State: waiting, LastTerminationState: lastID, ContainerID: "containerd://2", RestartCount: 2},
			failed: true, earlier: 2,
		},
		"was made, and waits": {
			status: &corev1.ContainerStatus{State: waiting, LastTerminationState: lastID, ContainerID: "containerd://3", RestartCount: 3},
			failed: true, earlier: 2,
		},
		"runs after a failure":     {status: &corev1.ContainerStatus{State: running, LastTerminationState: exited(1), RestartCount: 1}},
		"waits for the first time": {status: &corev1.ContainerStatus{State: waiting}},
		"negative count":           {status: &corev1.ContainerStatus{State: waiting, RestartCount: -5}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := Container{Status: tc.status}
			if got := c.Failed(); got != tc.failed {
				t.Errorf("Failed() = %v", got)
			}
			if got := c.EarlierInstances(); got != tc.earlier {
				t.Errorf("EarlierInstances() = %d, want %d", got, tc.earlier)
			}
		})
	}
}
