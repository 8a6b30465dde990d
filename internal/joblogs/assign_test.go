package joblogs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/results"
)

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

var running = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}

// neverRan is the terminated state of a container that did not start.
func neverRan(reason string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: 128, Message: "cannot run"}}
}

func withoutID() corev1.ContainerState {
	state := ended()
	state.Terminated.ContainerID = ""
	return state
}

// TestAssign tells for every state of a container which instances are read,
// and what is said of the others.
func TestAssign(t *testing.T) {
	read := results.Capture{}
	never := func(message string) results.Capture {
		return results.Capture{Complete: true, Reason: results.ReasonNeverStarted, Message: message}
	}
	unreported := func(message string) results.Capture {
		return results.Capture{Reason: results.ReasonNeverStarted, Message: "the node did not report the end of the pod: " + message}
	}
	gone := func(message string) results.Capture {
		return results.Capture{Reason: results.ReasonContainerGone, Message: message}
	}
	tests := map[string]struct {
		status corev1.ContainerStatus
		change func(*corev1.Pod)
		want   []outcome
	}{
		"ended":             {status: exited("c"), want: []outcome{{Capture: read}}},
		"running and ready": {status: corev1.ContainerStatus{State: running, Ready: true}, want: []outcome{{Capture: read}}},
		"running, not ready, in a pod that goes on": {
			status: corev1.ContainerStatus{State: running},
			change: func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning },
			want: []outcome{{Capture: results.Capture{
				Reason: results.ReasonNotReady, Message: "the container was running but not ready", Retryable: true,
			}}},
		},
		"running, not ready, in a finished pod": {
			status: corev1.ContainerStatus{State: running},
			want:   []outcome{{Capture: results.Capture{Reason: results.ReasonNotReady, Message: "the container was running but not ready"}}},
		},
		"waiting": {
			status: corev1.ContainerStatus{State: waiting("ImagePullBackOff", "back-off\npulling")},
			want:   []outcome{{Capture: never(`ImagePullBackOff: back-off\npulling`)}},
		},
		"waiting, in a pod that goes on": {
			status: corev1.ContainerStatus{State: waiting("ImagePullBackOff", "")},
			change: func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending },
			want:   []outcome{{Capture: unreported("ImagePullBackOff")}},
		},
		"waiting, on a node that is gone": {
			status: corev1.ContainerStatus{State: waiting("ContainerCreating", "")},
			change: func(p *corev1.Pod) {
				p.Status.Conditions = []corev1.PodCondition{
					{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByPodGC"},
				}
			},
			want: []outcome{{Capture: unreported("ContainerCreating")}},
		},
		"never scheduled, and the watch missed the end": {
			change: func(p *corev1.Pod) { p.Spec.NodeName, p.Status.Phase = "", corev1.PodUnknown },
			want:   []outcome{{Capture: unreported("the pod was never scheduled")}},
		},
		"no state": {
			change: func(p *corev1.Pod) { p.Status.Reason, p.Status.Message = "OutOfcpu", "Node didn't have enough" },
			want:   []outcome{{Capture: never("OutOfcpu: Node didn't have enough")}},
		},
		"no status": {
			change: func(p *corev1.Pod) { p.Status.ContainerStatuses = nil },
			want:   []outcome{{Capture: never("")}},
		},
		"never scheduled": {
			status: corev1.ContainerStatus{State: waiting("ContainerCreating", "")},
			change: func(p *corev1.Pod) {
				p.Spec.NodeName = ""
				p.Status.Conditions = []corev1.PodCondition{
					{Type: corev1.PodReady, Message: "not this"},
					{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/1 nodes are available"},
				}
			},
			want: []outcome{{Capture: never("the pod was never scheduled: 0/1 nodes are available")}},
		},
		"never scheduled, nobody says why": {
			change: func(p *corev1.Pod) { p.Spec.NodeName = "" },
			want:   []outcome{{Capture: never("the pod was never scheduled")}},
		},
		"could not start": {
			status: corev1.ContainerStatus{State: neverRan("ContainerCannotRun")},
			want:   []outcome{{Capture: never("ContainerCannotRun: cannot run")}},
		},
		"lost by the kubelet": {
			status: corev1.ContainerStatus{State: neverRan("ContainerStatusUnknown")},
			want:   []outcome{{Capture: gone("the kubelet lost the container")}},
		},
		"ended, without an ID": {status: corev1.ContainerStatus{State: withoutID()}, want: []outcome{{Capture: read}}},
		"restarted": {
			status: corev1.ContainerStatus{State: ended(), LastTerminationState: ended(), RestartCount: 1},
			want:   []outcome{{Previous: true, Capture: read}, {Capture: read}},
		},
		"waits to start again": {
			status: corev1.ContainerStatus{State: waiting("CrashLoopBackOff", ""), LastTerminationState: ended(), RestartCount: 1},
			want: []outcome{
				{Previous: true, Capture: read},
				{Capture: results.Capture{Complete: true, Reason: results.ReasonNotStartedAgain, Message: "CrashLoopBackOff"}},
			},
		},
		"did not start again": {
			status: corev1.ContainerStatus{State: neverRan("StartError"), LastTerminationState: ended(), RestartCount: 1},
			want: []outcome{
				{Previous: true, Capture: read},
				{Capture: results.Capture{Complete: true, Reason: results.ReasonNotStartedAgain, Message: "StartError: cannot run"}},
			},
		},
		"restarted, without an ID": {
			status: corev1.ContainerStatus{State: withoutID(), LastTerminationState: ended(), RestartCount: 1},
			want: []outcome{
				{Previous: true, Capture: read},
				{Capture: gone("the kubelet no longer knows the container")},
			},
		},
		"previous instance lost": {
			status: corev1.ContainerStatus{State: ended(), LastTerminationState: neverRan("Error"), RestartCount: 1},
			want:   []outcome{{Previous: true, Capture: gone("the kubelet lost the container")}, {Capture: read}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.status.Name = "c"
			pod := podWith(tc.status)
			if tc.change != nil {
				tc.change(pod)
			}
			for i := range tc.want {
				tc.want[i].Container = "c"
			}
			collected, tasks := assign([]*corev1.Pod{pod})
			if diff := cmp.Diff(tc.want, outcomes(collected[0])); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			toRead := 0
			for i := range collected[0].Logs {
				if collected[0].Logs[i].Capture == read {
					toRead++
				}
			}
			if len(tasks) != toRead {
				t.Errorf("%d tasks, want %d", len(tasks), toRead)
			}
		})
	}
}

func TestBufferCapacity(t *testing.T) {
	const mib = 1 << 20
	tests := map[string]struct {
		logs     int
		memory   int64
		results  int
		want     int64
		wantHeld int64
	}{
		"no log":           {logs: 0, memory: DefaultMemoryBytes, want: mib},
		"one":              {logs: 1, memory: DefaultMemoryBytes, want: mib, wantHeld: mib},
		"one, with parts":  {logs: 1, memory: DefaultMemoryBytes, results: mib + 1, want: mib, wantHeld: 2 * mib},
		"four":             {logs: 4, memory: DefaultMemoryBytes, want: mib, wantHeld: 4 * mib},
		"eight":            {logs: 8, memory: DefaultMemoryBytes, want: mib / 2, wantHeld: 4 * mib},
		"ten thousand":     {logs: 10_000, memory: DefaultMemoryBytes, want: 1 << 10, wantHeld: 10_000 << 10},
		"little memory":    {logs: 2, memory: 3 * mib, want: mib / 2, wantHeld: mib},
		"far too many":     {logs: mib, memory: 3 * mib, want: 1, wantHeld: mib},
		"more than memory": {logs: 3, memory: 2, want: 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := NewReader(nil, Options{MemoryBytes: tc.memory, ResultsBytes: tc.results})
			if got, held := r.bufferCapacity(tc.logs); got != tc.want || held != tc.wantHeld {
				t.Errorf("bufferCapacity(%d) = %d, %d, want %d, %d", tc.logs, got, held, tc.want, tc.wantHeld)
			}
		})
	}
}
