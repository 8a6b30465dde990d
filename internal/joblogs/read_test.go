package joblogs

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/job-handler/job-handler/internal/results"
)

const (
	symlinkError = `failed to try resolving symlinks in path "/var/log/pods/batch_p1_uid-of-p1/c/0.log": lstat: no such file or directory`
	runtimeError = "unable to retrieve container logs for containerd://0123abcd"
	foreignError = `failed to open log file "/tmp/x": permission denied`
)

var (
	whole        = results.Capture{Complete: true}
	stalled      = results.Capture{Reason: results.ReasonStalled, Message: "no byte for the idle timeout", Retryable: true}
	endedEarly   = results.Capture{Reason: results.ReasonEndedEarly, Message: "the stream ended before the log did", Retryable: true}
	stillRunning = results.Capture{Reason: results.ReasonStillRunning, Message: "the container was running"}
)

func unavailable(message string) results.Capture {
	return results.Capture{Reason: results.ReasonLogUnavailable, Message: message, Retryable: true}
}

// TestCollectOne reads one log, of p1's container c, through every fault.
func TestCollectOne(t *testing.T) {
	long := strings.Repeat("a line\n", 1000) + "the end\n"
	tests := map[string]struct {
		log      string
		fault    fault
		status   *corev1.ContainerStatus
		text     string
		capture  results.Capture
		requests []string
	}{
		"whole":            {log: "one\ntwo\n", text: "one\ntwo\n", capture: whole, requests: []string{"p1/c", "p1/c tailLines=10"}},
		"empty":            {capture: whole},
		"no final newline": {log: "one\ntwo", text: "one\ntwo", capture: whole},
		"any bytes":        {log: "\x00\xff\x1b\n\n", text: "\x00\xff\x1b\n\n", capture: whole},
		"one long line":    {log: strings.Repeat("x", 100_000), text: strings.Repeat("x", 100_000), capture: whole},
		"same lines":       {log: strings.Repeat(".\n", 50), text: strings.Repeat(".\n", 50), capture: whole},

		"ends early between lines":     {log: long, fault: sends(long[:7000]), text: long[:7000], capture: endedEarly},
		"ends early in a line":         {log: long, fault: sends(long[:7003]), text: long[:7003], capture: endedEarly},
		"ends early after nothing":     {log: long, fault: sends(""), capture: endedEarly},
		"ends early among equal lines": {log: "x\nx\nx\n", fault: sends("x\n"), text: "x\n", capture: endedEarly},
		"ends early among many equal lines": {
			log: "first\n" + strings.Repeat("x\n", 50), fault: sends("first\n" + strings.Repeat("x\n", 20)),
			text: "first\n" + strings.Repeat("x\n", 20), capture: endedEarly, requests: []string{"p1/c", "p1/c tailLines=21"},
		},
		"more than there is": {log: "", fault: sends("ghost\n"), text: "ghost\n", capture: endedEarly},
		"breaks off":         {fault: breaks("half"), text: "half", capture: unavailable("reading log: unexpected EOF")},
		"hangs":              {fault: hangs(""), capture: stalled},
		"hangs after some":   {fault: hangs("half"), text: "half", capture: stalled},
		"does not answer":    {fault: stuck, capture: stalled},

		"error text names the pod":        {fault: sends(symlinkError), capture: unavailable(symlinkError)},
		"error text names the container":  {fault: sends(runtimeError), capture: unavailable(runtimeError)},
		"error text after the log":        {log: "one\n", fault: appends(symlinkError), text: "one\n", capture: unavailable(symlinkError)},
		"error text whatever is asked":    {fault: appends(foreignError), capture: unavailable(foreignError)},
		"the program's own, with newline": {log: runtimeError + "\n", text: runtimeError + "\n", capture: whole},
		"the program's own, all of it": {
			log: foreignError, text: foreignError, capture: whole,
			requests: []string{"p1/c", "p1/c tailLines=10"},
		},
		"the program's own, at the end": {log: "one\n" + foreignError, text: "one\n" + foreignError, capture: whole},
		"healed meanwhile":              {log: "one\n", fault: sends(foreignError), text: foreignError, capture: endedEarly},

		"refused": {
			fault:   refuses(apierrors.NewInternalError(errors.New("kubelet says no"))),
			capture: unavailable("Internal error occurred: kubelet says no"), requests: []string{"p1/c"},
		},
		"pod gone while reading": {
			fault: refuses(apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, "p1")),
			capture: results.Capture{
				Reason: results.ReasonPodGone, Message: `pods "p1" not found`,
			},
		},
		"running": {
			log: "so far\n", text: "so far\n", capture: stillRunning, requests: []string{"p1/c"},
			status: &corev1.ContainerStatus{Name: "c", State: running, Ready: true},
		},
		"running, with what may be an error": {
			log: foreignError, text: foreignError, capture: stillRunning, requests: []string{"p1/c", "p1/c tailLines=10"},
			status: &corev1.ContainerStatus{Name: "c", State: running, Ready: true},
		},
		"running, with such words at the end": {
			log: "one\n" + foreignError, text: "one\n" + foreignError, capture: stillRunning, requests: []string{"p1/c"},
			status: &corev1.ContainerStatus{Name: "c", State: running, Ready: true},
		},
		"running, with an error": {
			fault: appends(foreignError), capture: unavailable(foreignError), requests: []string{"p1/c", "p1/c tailLines=10"},
			status: &corev1.ContainerStatus{Name: "c", State: running, Ready: true},
		},
		"what may be an error, and then refused": {
			fault: onTail(refuses(errors.New("no")), sends(foreignError)), capture: unavailable(foreignError),
		},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &kubelet{logs: map[string]string{"p1/c": tc.log}, faults: map[string]fault{"p1/c": tc.fault}}
				status := exited("c")
				if tc.status != nil {
					status = *tc.status
				}
				collected, release, err := NewReader(k, Options{}).Collect(t.Context(), []*corev1.Pod{podWith(status)})
				if err != nil {
					t.Fatal(err)
				}
				defer release()
				want := []outcome{{Container: "c", Text: tc.text, Capture: tc.capture}}
				if diff := cmp.Diff(want, outcomes(collected[0])); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tc.requests, k.requests); tc.requests != nil && diff != "" {
					t.Errorf("requests (-want +got):\n%s", diff)
				}
				if k.open != 0 {
					t.Errorf("%d streams left open", k.open)
				}
			})
		})
	}
}

func TestVerificationRefused(t *testing.T) {
	k := &kubelet{faults: map[string]fault{"p1/c": onTail(refuses(errors.New("connection reset")), sends("one\n"))}}
	collected, release, err := NewReader(k, Options{}).Collect(t.Context(), []*corev1.Pod{podWith(exited("c"))})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	want := []outcome{{
		Container: "c", Text: "one\n",
		Capture: unavailable("comparing the end of the log: opening log: connection reset"),
	}}
	if diff := cmp.Diff(want, outcomes(collected[0])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLargeLog reads a log that is larger than its buffer, whole or not.
func TestLargeLog(t *testing.T) {
	log := strings.Repeat("0123456789abcdef\n", 200_000) + "the end\n"
	for title, tc := range map[string]struct {
		fault fault
		seen  int
		want  results.Capture
	}{
		"ends in an error text": {
			fault: appends(symlinkError), seen: len(log) + len(symlinkError), want: unavailable(symlinkError),
		},
		"whole":      {seen: len(log), want: whole},
		"ends early": {fault: sends(log[:len(log)/2]), seen: len(log) / 2, want: endedEarly},
	} {
		t.Run(title, func(t *testing.T) {
			k := &kubelet{logs: map[string]string{"p1/c": log}, faults: map[string]fault{"p1/c": tc.fault}}
			collected, release, err := NewReader(k, Options{}).Collect(t.Context(), []*corev1.Pod{podWith(exited("c"))})
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			got := collected[0].Logs[0]
			if got.Text.Seen() != int64(tc.seen) || got.Text.Kept() != maxBuffer || got.Capture != tc.want {
				t.Errorf("seen %d, kept %d, %+v", got.Text.Seen(), got.Text.Kept(), got.Capture)
			}
			if kept := got.Packed.Excerpt().HeadBytes; kept != int64(tc.seen) {
				t.Errorf("%d bytes compressed", kept)
			}
		})
	}
}

// TestSlowLog reads a log that takes longer than the idle timeout but is never
// idle for so long.
func TestSlowLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kubelet{logs: map[string]string{"p1/c": "......"}, faults: map[string]fault{"p1/c": drips(10 * time.Second)}}
		begin := time.Now()
		collected, release, err := NewReader(k, Options{IdleTimeout: 15 * time.Second}).
			Collect(t.Context(), []*corev1.Pod{podWith(exited("c"))})
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if got := collected[0].Logs[0].Capture; got != whole {
			t.Errorf("%+v", got)
		}
		if took := time.Since(begin); took < time.Minute {
			t.Errorf("took %v", took)
		}
	})
}
