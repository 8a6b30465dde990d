package why

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

func waits(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func ended(code int32, reason string) corev1.ContainerState {
	at := metav1.NewTime(time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC))
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason, ContainerID: "containerd://1", StartedAt: at, FinishedAt: at,
	}}
}

// nowhere is how the kubelet reports a container that it cannot find.
func nowhere() corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: statusUnknown}}
}

var running = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}

func status(name string, state corev1.ContainerState) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, State: state}
}

func pod(statuses ...corev1.ContainerStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "batch", Name: "p", UID: "uid-p"},
		Status:     corev1.PodStatus{ContainerStatuses: statuses},
	}
}

func TestKeep(t *testing.T) {
	told, creating := waits("InvalidImageName", "must be lowercase"), waits("ContainerCreating", "")
	restarted := status("main", creating)
	restarted.RestartCount = 1
	for name, test := range map[string]struct {
		before, now, want *corev1.Pod
	}{
		"nothing was seen before":           {nil, pod(status("main", creating)), pod(status("main", creating))},
		"the reason is taken back":          {pod(status("main", told)), pod(status("main", creating)), pod(status("main", told))},
		"the kubelet lost the container":    {pod(status("main", told)), pod(status("main", nowhere())), pod(status("main", told))},
		"it lost one that said nothing":     {pod(status("main", creating)), pod(status("main", nowhere())), pod(status("main", creating))},
		"the status is gone":                {pod(status("main", told)), pod(), pod(status("main", told))},
		"a status that said nothing is too": {pod(status("main", creating)), pod(), pod()},
		"another reason is the later one": {
			pod(status("main", told)), pod(status("main", waits("ErrImagePull", ""))), pod(status("main", waits("ErrImagePull", ""))),
		},
		"it runs":                {pod(status("main", told)), pod(status("main", running)), pod(status("main", running))},
		"it has ended":           {pod(status("main", told)), pod(status("main", ended(1, "Error"))), pod(status("main", ended(1, "Error")))},
		"it waits to be started": {pod(status("main", told)), pod(restarted), pod(restarted)},
		"it ran before and was lost": {
			pod(status("main", running)), pod(status("main", nowhere())), pod(status("main", nowhere())),
		},
		"of several each by its name": {
			pod(status("a", told), status("b", running)), pod(status("b", ended(0, "Completed")), status("a", creating)),
			pod(status("b", ended(0, "Completed")), status("a", told)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			untouched := test.now.DeepCopy()
			if diff := cmp.Diff(test.want, Keep(test.before, test.now)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(untouched, test.now); diff != "" {
				t.Errorf("the pod was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestKeepInitContainers(t *testing.T) {
	before, now := pod(), pod(status("main", waits("PodInitializing", "")))
	before.Status.InitContainerStatuses = []corev1.ContainerStatus{status("setup", waits("ErrImagePull", "no such image"))}
	now.Status.InitContainerStatuses = []corev1.ContainerStatus{status("setup", waits("PodInitializing", ""))}
	if diff := cmp.Diff(before.Status.InitContainerStatuses, Keep(before, now).Status.InitContainerStatuses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestKeepAnyStory has the last telling reason of a container that never starts be
// kept, whatever the watch shows after it, and nothing be kept of one that starts.
func TestKeepAnyStory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		states := rapid.SliceOfN(rapid.SampledFrom([]corev1.ContainerState{
			waits("ContainerCreating", ""), waits("PodInitializing", ""), waits("ErrImagePull", "a"), waits("ImagePullBackOff", "b"),
			waits("CreateContainerConfigError", "c"), nowhere(),
			{},
		}), 1, 12).Draw(t, "states")
		var kept *corev1.Pod
		want := corev1.ContainerState{}
		for _, state := range states {
			kept = Keep(kept, pod(status("main", state)))
			if Telling(state.Waiting) {
				want = state
			}
		}
		if want != (corev1.ContainerState{}) {
			if diff := cmp.Diff(want, kept.Status.ContainerStatuses[0].State); diff != "" {
				t.Fatalf("%v: (-want +got):\n%s", states, diff)
			}
		}
		now := pod(status("main", rapid.SampledFrom([]corev1.ContainerState{running, ended(0, "Completed"), ended(1, "Error")}).Draw(t, "then")))
		if Keep(kept, now) != now {
			t.Fatal("a container that has started is said to wait")
		}
	})
}
