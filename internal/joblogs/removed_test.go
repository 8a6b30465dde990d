package joblogs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/results"
)

// TestRemovedByKubelet tells a container that the kubelet removed from a
// runtime that is away: the kubelet says the same of both.
func TestRemovedByKubelet(t *testing.T) {
	restarted := exited("c")
	restarted.RestartCount, restarted.LastTerminationState = 1, ended()
	waits := restarted
	waits.State = waiting("CrashLoopBackOff", "")
	notStartedAgain := results.Capture{Complete: true, Reason: results.ReasonNotStartedAgain, Message: "CrashLoopBackOff"}
	superseded := results.Capture{Reason: results.ReasonContainerGone, Message: "the kubelet keeps the last ended instance only"}
	evicted := results.Capture{Reason: results.ReasonContainerGone, Message: "the kubelet removed the containers of the evicted pod"}

	tests := map[string]struct {
		status corev1.ContainerStatus
		reason string
		faulty []string
		text   string
		want   []outcome
	}{
		"instance before the last": {
			status: restarted, faulty: []string{"p1/c/previous"}, text: runtimeError,
			want: []outcome{{Previous: true, Capture: superseded}, {Text: "last\n", Capture: whole}},
		},
		"another error about the instance before the last": {
			status: restarted, faulty: []string{"p1/c/previous"}, text: symlinkError,
			want: []outcome{{Previous: true, Capture: unavailable(symlinkError)}, {Text: "last\n", Capture: whole}},
		},
		"instance before one that waits": {
			status: waits, faulty: []string{"p1/c/previous"}, text: runtimeError,
			want: []outcome{{Previous: true, Capture: unavailable(runtimeError)}, {Capture: notStartedAgain}},
		},
		"runtime away": {
			status: restarted, faulty: []string{"p1/c/previous", "p1/c"}, text: runtimeError,
			want: []outcome{{Previous: true, Capture: superseded}, {Capture: unavailable(runtimeError)}},
		},
		"evicted pod": {
			status: exited("c"), reason: "Evicted", faulty: []string{"p1/c"}, text: runtimeError,
			want: []outcome{{Capture: evicted}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			k := &kubelet{logs: map[string]string{"p1/c": "last\n"}, faults: map[string]fault{}}
			for _, log := range tc.faulty {
				k.logs[log], k.faults[log] = "", appends(tc.text)
			}
			pod := podWith(tc.status)
			pod.Status.Reason = tc.reason
			collected, release, err := NewReader(k, Options{}).Collect(t.Context(), []*corev1.Pod{pod})
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			for i := range tc.want {
				tc.want[i].Container = "c"
			}
			if diff := cmp.Diff(tc.want, outcomes(collected[0])); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
