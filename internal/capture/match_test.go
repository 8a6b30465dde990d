package capture

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

// withStatus returns a pod that is there, with this status of its container.
func withStatus(status corev1.ContainerStatus) *corev1.Pod {
	pod := runningPod("p", "main")
	status.Name = "main"
	pod.Status.ContainerStatuses[0] = status
	return pod
}

func endedAs(id string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ContainerID: id, ExitCode: 1}}
}

// TestMatch finds which of the logs that are kept a pod tells of.
func TestMatch(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	forgotten := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "RestartingAllContainers", ExitCode: 137}}
	unknown := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "ContainerStatusUnknown", ExitCode: 137}}
	evicted := withStatus(corev1.ContainerStatus{})
	evicted.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}
	// kept are instances 0 and 1, read when they ended, and 2, which was followed.
	tests := map[string]struct {
		pod  *corev1.Pod
		kept int
		// want is which is the previous and the last one, -1 if none is, and the earlier ones.
		previous, last int
		earlier        []int
	}{
		"the third one runs": {
			withStatus(corev1.ContainerStatus{ContainerID: id(2), RestartCount: 2, State: running, LastTerminationState: endedAs(id(1))}),
			3, 1, 2,
			[]int{0},
		},
		"the second one ended, and the container waits": {
			withStatus(corev1.ContainerStatus{ContainerID: id(1), RestartCount: 1, State: waiting, LastTerminationState: endedAs(id(1))}),
			2, 1, -1,
			[]int{0},
		},
		"all were restarted, and the kubelet forgot the one before": {
			withStatus(corev1.ContainerStatus{ContainerID: id(3), RestartCount: 3, State: running, LastTerminationState: forgotten}),
			3, 2, -1,
			[]int{0, 1},
		},
		"the kubelet forgot one of which nothing is kept": {
			withStatus(corev1.ContainerStatus{ContainerID: id(9), RestartCount: 9, State: running, LastTerminationState: forgotten}),
			3, -1, -1,
			[]int{0, 1, 2},
		},
		"the kubelet lost the last one, and counts a restart": {
			withStatus(corev1.ContainerStatus{RestartCount: 3, State: unknown, LastTerminationState: endedAs(id(1))}),
			3, 1, 2,
			[]int{0},
		},
		"nothing is told of the last one, which was followed": {evicted, 3, -1, 2, []int{0, 1}},
		"nor of one that nobody followed":                     {evicted, 2, -1, -1, []int{0, 1}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMemory(1 << 20)
			var c Captured
			for i := range tc.kept {
				l := followedLog{container: "main", instance: id(i), ofLife: i < 2, lifeOf: lifeOf{restart: int32(i)}, text: m.open("batch")}
				_, _ = l.text.Write([]byte("x"))
				c.logs = append(c.logs, l)
			}
			all := joblogs.LogsOf(tc.pod)
			matched, earlier := c.match(tc.pod, all)
			got := map[bool]int{true: -1, false: -1}
			for i, log := range all {
				got[log.Previous] = matched[i]
			}
			if diff := cmp.Diff(map[bool]int{true: tc.previous, false: tc.last}, got); diff != "" || !slices.Equal(earlier, tc.earlier) {
				t.Errorf("earlier ones %v, previous and last (-want +got):\n%s", earlier, diff)
			}
		})
	}
}

// TestToRead tells of which containers that have ended the logs are read.
func TestToRead(t *testing.T) {
	failed, succeeded := endedAs("containerd://1"), endedAs("containerd://1")
	succeeded.Terminated.ExitCode = 0
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	always, onFailure, never := corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyOnFailure, corev1.ContainerRestartPolicyNever
	tests := map[string]struct {
		policy    corev1.RestartPolicy
		container corev1.Container
		init      bool
		state     corev1.ContainerState
		final     bool
		want, may bool
	}{
		"failed, OnFailure":              {policy: corev1.RestartPolicyOnFailure, state: failed, want: true, may: true},
		"failed, Never":                  {policy: corev1.RestartPolicyNever, state: failed},
		"failed, with its pod":           {policy: corev1.RestartPolicyOnFailure, state: failed, final: true, may: true},
		"succeeded, OnFailure":           {policy: corev1.RestartPolicyOnFailure, state: succeeded, may: true},
		"runs":                           {policy: corev1.RestartPolicyOnFailure, state: running, may: true},
		"failed, Never of its own":       {policy: corev1.RestartPolicyOnFailure, container: corev1.Container{RestartPolicy: &never}, state: failed, may: true},
		"failed, OnFailure of its own":   {policy: corev1.RestartPolicyNever, container: corev1.Container{RestartPolicy: &onFailure}, state: failed, want: true, may: true},
		"succeeded, Always of its own":   {policy: corev1.RestartPolicyNever, container: corev1.Container{RestartPolicy: &always}, state: succeeded, want: true, may: true},
		"failed, Never, with rules":      {policy: corev1.RestartPolicyNever, container: corev1.Container{RestartPolicy: &never, RestartPolicyRules: make([]corev1.ContainerRestartRule, 1)}, state: failed, want: true, may: true},
		"an init container, OnFailure":   {policy: corev1.RestartPolicyOnFailure, init: true, state: failed, want: true, may: true},
		"an init container that is done": {policy: corev1.RestartPolicyOnFailure, init: true, state: succeeded, may: true},
		"a sidecar":                      {policy: corev1.RestartPolicyNever, init: true, container: corev1.Container{RestartPolicy: &always}, state: succeeded, want: true, may: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := runningPod("p", "other")
			pod.Spec.RestartPolicy, tc.container.Name = tc.policy, "main"
			status := corev1.ContainerStatus{Name: "main", ContainerID: "containerd://1", State: tc.state}
			if tc.init {
				pod.Spec.InitContainers = append(pod.Spec.InitContainers, tc.container)
				pod.Status.InitContainerStatuses = append(pod.Status.InitContainerStatuses, status)
			} else {
				pod.Spec.Containers = append(pod.Spec.Containers, tc.container)
				pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, status)
			}
			if tc.final {
				pod.Status.Phase = corev1.PodFailed
			}
			if got := anyToRead(pod, joblogs.LogsOf(pod)); got != tc.want {
				t.Errorf("it is read: %t", got)
			}
			if got := MayRestart(pod); got != tc.may {
				t.Errorf("may restart: %t", got)
			}
		})
	}
	t.Run("a sidecar that ends with its pod", func(t *testing.T) {
		pod := ended(runningPod("p", "main"))
		pod.Status.Phase = corev1.PodRunning
		pod.Spec.RestartPolicy = corev1.RestartPolicyNever
		pod.Spec.InitContainers = []corev1.Container{{Name: "side", RestartPolicy: &always}}
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "side", ContainerID: "containerd://1", State: succeeded}}
		if kind := results.Containers(pod)[0].Kind; kind != results.KindSidecar || anyToRead(pod, joblogs.LogsOf(pod)) {
			t.Errorf("it is read, as %s", kind)
		}
	})
}
