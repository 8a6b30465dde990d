package joblogs

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

const (
	notFoundError  = `rpc error: code = NotFound desc = an error occurred when try to find container "0123abcd": not found`
	foreignMissing = `rpc error: code = NotFound desc = no such table`
	inotifyError   = "failed to create fsnotify watcher: too many open files"
)

// following answers with one thing while the log is followed, with another when
// its end is asked for.
func following(follow, tail fault) fault {
	return func(ctx context.Context, opts *corev1.PodLogOptions, right string) (io.ReadCloser, error) {
		if opts.Follow {
			return follow(ctx, opts, right)
		}
		if tail != nil {
			return tail(ctx, opts, right)
		}
		return io.NopCloser(strings.NewReader(right)), nil
	}
}

// follow follows a log with one stream.
func follow(ctx context.Context, r *Reader, log Log, dst io.Writer) results.ContainerLog {
	f := r.NewFollowing(dst)
	read := log.ContainerLog
	ended, capture := f.Stream(ctx, log)
	if ended {
		capture = f.Confirm(ctx, log)
	}
	read.Capture = capture
	read.Redacted, _ = f.Close()
	return read
}

// TestFollow follows the log of p1's container c through every fault.
func TestFollow(t *testing.T) {
	podGone := refuses(apierrors.NewNotFound(corev1.Resource("pods"), "p1"))
	const log = "working\ngot TERM\n"
	tests := map[string]struct {
		log         string
		follow, end fault
		text        string
		want        results.Capture
	}{
		"to its end":         {log: log, text: log, want: whole},
		"without a newline":  {log: "half a line", text: "half a line", want: whole},
		"nothing was logged": {want: whole},
		"a long line":        {log: strings.Repeat("x", 100_000), text: strings.Repeat("x", 100_000), want: whole},
		"breaks off":         {log: log, follow: breaks(timed("working\ngot")), text: "working\ngot", want: unavailable("reading log: unexpected EOF")},
		"ends early":         {log: log, follow: sends(timed("working\n")), text: "working\n", want: endedEarly},
		"is refused": {
			log: log, follow: refuses(apierrors.NewInternalError(errors.New("no"))), want: unavailable("Internal error occurred: no"),
		},
		"the pod is gone before":    {follow: podGone, want: notRetryable(results.ReasonPodGone, `pods "p1" not found`)},
		"the pod is gone at once":   {log: log, end: podGone, text: log, want: whole},
		"the container is removed":  {log: log, follow: appends(notFoundError), text: log, want: whole},
		"removed after a half line": {log: "half", follow: appends(notFoundError), text: "half", want: whole},
		"removed before the end is compared": {
			log: log, end: sendsAlways(runtimeError), text: log, want: whole,
		},
		"the runtime is away":                    {follow: appends(runtimeError), want: unavailable(runtimeError)},
		"the program itself says something like": {log: log + foreignMissing, text: log + foreignMissing, want: whole},
		"the kubelet cannot wait":                {log: log, follow: appends(inotifyError), text: log, want: unavailable(inotifyError)},
		"the end cannot be compared": {
			log: log, end: refuses(apierrors.NewInternalError(errors.New("no"))), text: log,
			want: unavailable("comparing the end of the log: Internal error occurred: no"),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			k := &kubelet{logs: map[string]string{"p1/c": tc.log}}
			if tc.follow != nil || tc.end != nil {
				if tc.follow == nil {
					tc.follow = appends("")
				}
				k.faults = map[string]fault{"p1/c": following(tc.follow, tc.end)}
			}
			text := logtext.NewBuffer(1 << 20)
			got := follow(t.Context(), NewReader(k, Options{}), LogsOf(podWith(exited("c")))[0], text).Capture
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("capture (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.text, string(text.Head())); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if k.open != 0 {
				t.Errorf("%d streams left open", k.open)
			}
		})
	}
}

// sendsAlways answers everything with text.
func sendsAlways(text string) fault {
	return func(context.Context, *corev1.PodLogOptions, string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text)), nil
	}
}

// TestFollowWaits has a container be silent for longer than a read may be, until
// its time is over.
func TestFollowWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kubelet{faults: map[string]fault{"p1/c": hangs(timed("working\nhalf"))}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		text := logtext.NewBuffer(1 << 10)
		got := follow(ctx, NewReader(k, Options{IdleTimeout: time.Second}), LogsOf(podWith(exited("c")))[0], text).Capture
		want := notRetryable(results.ReasonStillRunning, "the manager stopped following the log before it ended")
		if got != want || string(text.Head()) != "working\nhalf" || time.Since(began) != time.Hour {
			t.Errorf("%+v with %q after %s", got, text.Head(), time.Since(began))
		}
	})
}

func TestLogsOf(t *testing.T) {
	restarted := exited("restarted")
	restarted.State.Terminated.ContainerID = "containerd://second"
	restarted.LastTerminationState = ended()
	pod := podWith(
		restarted, corev1.ContainerStatus{Name: "waits", State: waiting("PodInitializing", "")},
		corev1.ContainerStatus{Name: "unready", State: running, ContainerID: "containerd://third"},
	)
	type log struct {
		Container, InstanceID     string
		Previous, Ended, Readable bool
		Reason                    string
	}
	list := func() []log {
		var got []log
		for _, l := range LogsOf(pod) {
			got = append(got, log{l.Container, l.InstanceID, l.Previous, l.Ended, l.Readable(), l.Capture.Reason})
		}
		return got
	}
	want := []log{
		{Container: "restarted", InstanceID: "containerd://0123abcd", Previous: true, Ended: true, Readable: true},
		{Container: "restarted", InstanceID: "containerd://second", Ended: true, Readable: true},
		{Container: "waits", Reason: results.ReasonNeverStarted},
		{Container: "unready", Reason: results.ReasonNotReady},
	}
	if diff := cmp.Diff(want, list()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	pod.DeletionTimestamp = &metav1.Time{}
	want[3] = log{Container: "unready", InstanceID: "containerd://third", Readable: true}
	if diff := cmp.Diff(want, list()); diff != "" {
		t.Errorf("of a pod that is being deleted (-want +got):\n%s", diff)
	}
}

// TestFollowRedacts has a credential, split by the stream, not be kept.
func TestFollowRedacts(t *testing.T) {
	rules, err := redact.New(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		k := &kubelet{
			logs:   map[string]string{"p1/c": "password=hunter2\ngot TERM"},
			faults: map[string]fault{"p1/c": following(drips(100*time.Millisecond), nil)},
		}
		text := logtext.NewBuffer(1 << 10)
		got := follow(t.Context(), NewReader(k, Options{Redact: rules}), LogsOf(podWith(exited("c")))[0], text)
		if got.Capture != whole || got.Redacted.Total() != 1 || string(text.Head()) != "password=[redacted password]\ngot TERM" {
			t.Errorf("%q, %+v, %v", text.Head(), got.Capture, got.Redacted)
		}
	})
}

// TestFollowRotatedHead has the head of a long log be gone before it is followed.
func TestFollowRotatedHead(t *testing.T) {
	started := time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)
	log := strings.Repeat("0123456789abcde\n", 6<<20/16)
	first := started.Add(time.Hour)
	k := &kubelet{logs: map[string]string{"p1/c": log}, faults: map[string]fault{
		"p1/c": func(_ context.Context, opts *corev1.PodLogOptions, right string) (io.ReadCloser, error) {
			if opts.Follow {
				right = strings.ReplaceAll(log, "0123", first.Format(kubeletStamp)+" 0123")
			}
			return io.NopCloser(strings.NewReader(right)), nil
		},
	}}
	pod := podWith(corev1.ContainerStatus{Name: "c", State: corev1.ContainerState{
		Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(started)},
	}})
	pod.DeletionTimestamp = &metav1.Time{}
	clock := clocktesting.NewFakeClock(first.Add(time.Minute))
	got := follow(t.Context(), NewReader(k, Options{Clock: clock}), LogsOf(pod)[0], logtext.NewBuffer(1<<10))
	if got.Capture.Reason != results.ReasonRotatedHead {
		t.Errorf("%+v", got.Capture)
	}
}
