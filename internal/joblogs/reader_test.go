package joblogs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

// podNamed returns a finished pod with one container, c.
func podNamed(name string) *corev1.Pod {
	pod := podWith(exited("c"))
	pod.Name = name
	return pod
}

func TestCollectEveryContainer(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	restarted := exited("main")
	restarted.RestartCount, restarted.LastTerminationState = 1, ended()
	pod := podWith(restarted, corev1.ContainerStatus{Name: "late", State: waiting("PodInitializing", "")})
	pod.Spec.InitContainers = []corev1.Container{{Name: "setup"}, {Name: "proxy", RestartPolicy: &always}}
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{exited("setup"), exited("proxy")}
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{
		{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debugger"}},
	}
	pod.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{exited("debugger")}
	k := &kubelet{logs: map[string]string{
		"p1/setup": "s\n", "p1/proxy": "p\n", "p1/main": "m\n", "p1/main/previous": "mp\n", "p1/debugger": "d\n", "p2/c": "2\n",
	}, faults: map[string]fault{"p1/proxy": refuses(apierrors.NewInternalError(errors.New("no")))}}

	collected, release, err := NewReader(k, Options{}).Collect(t.Context(), []*corev1.Pod{podNamed("p2"), pod})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if got := outcomes(collected[0]); len(got) != 1 || got[0].Text != "2\n" || collected[0].Pod.Name != "p2" {
		t.Errorf("first pod %s: %+v", collected[0].Pod.Name, got)
	}
	want := []outcome{
		{Container: "setup", Text: "s\n", Capture: whole},
		{Container: "proxy", Capture: unavailable("Internal error occurred: no")},
		{Container: "main", Previous: true, Text: "mp\n", Capture: whole},
		{Container: "main", Text: "m\n", Capture: whole},
		{Container: "late", Capture: results.Capture{Complete: true, Reason: "NeverStarted", Message: "PodInitializing"}},
		{Container: "debugger", Text: "d\n", Capture: whole},
	}
	if diff := cmp.Diff(want, outcomes(collected[1])); diff != "" {
		t.Errorf("second pod (-want +got):\n%s", diff)
	}
	if slices.ContainsFunc(k.requests, func(r string) bool { return r == "p1/late" }) {
		t.Error("the log of a container that waits was asked for")
	}
}

func TestCollectNothing(t *testing.T) {
	collected, release, err := NewReader(&kubelet{}, Options{}).Collect(t.Context(), nil)
	if len(collected) != 0 || err != nil {
		t.Errorf("Collect of nothing: %v, %v", collected, err)
	}
	release()
	release()
}

// TestStreamsAreBounded has two Jobs of 20 pods share 3 streams.
func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kubelet{logs: map[string]string{}, faults: map[string]fault{}}
		var pods []*corev1.Pod
		for i := range 20 {
			pods = append(pods, podNamed(fmt.Sprintf("p%d", i)))
			k.logs[pods[i].Name+"/c"] = "..."
			k.faults[pods[i].Name+"/c"] = drips(time.Second)
		}
		reader := NewReader(k, Options{Streams: 3})
		done := make(chan error, 2)
		for range 2 {
			go func() {
				_, release, err := reader.Collect(t.Context(), pods)
				release()
				done <- err
			}()
		}
		if err := errors.Join(<-done, <-done); err != nil {
			t.Fatal(err)
		}
		if k.most != 3 || k.open != 0 {
			t.Errorf("%d streams open at once, %d left open", k.most, k.open)
		}
	})
}

// TestMemoryIsBounded has a second Job wait until the first gives back its
// memory.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kubelet{logs: map[string]string{"p1/c": "one\n"}}
		reader := NewReader(k, Options{MemoryBytes: 3 * maxBuffer})
		pods := []*corev1.Pod{podNamed("p1")}
		_, release, err := reader.Collect(t.Context(), pods)
		if err != nil {
			t.Fatal(err)
		}
		second := make(chan error, 1)
		go func() {
			_, release, err := reader.Collect(t.Context(), pods)
			release()
			second <- err
		}()
		synctest.Wait()
		select {
		case <-second:
			t.Fatal("the second Job did not wait")
		default:
		}
		release()
		release()
		if err := <-second; err != nil {
			t.Fatal(err)
		}
		if !take(reader.memory.short, maxBuffer) {
			t.Error("memory is not given back")
		}
	})
}

func TestCollectEndsWithItsContext(t *testing.T) {
	tests := map[string]struct {
		fault   fault
		prepare func(*Reader)
	}{
		"while the stream hangs":      {fault: hangs("half")},
		"while the request hangs":     {fault: stuck},
		"while it waits for memory":   {prepare: func(r *Reader) { take(r.memory.short, r.memory.shortBytes) }},
		"while it waits for a stream": {prepare: func(r *Reader) { take(r.streams, int64(r.options.Streams)) }},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &kubelet{faults: map[string]fault{"p1/c": tc.fault}}
				reader := NewReader(k, Options{IdleTimeout: time.Hour})
				if tc.prepare != nil {
					tc.prepare(reader)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer time.AfterFunc(time.Minute, cancel).Stop()
				collected, release, err := reader.Collect(ctx, []*corev1.Pod{podNamed("p1")})
				release()
				if !errors.Is(err, context.Canceled) || collected != nil {
					t.Errorf("Collect: %v, %v", collected, err)
				}
				if tc.prepare == nil && (k.open != 0 && tc.fault != nil || !take(reader.memory.short, reader.memory.shortBytes)) {
					t.Errorf("%d streams open, or memory is not given back", k.open)
				}
			})
		})
	}
}

// TestOutOfTime has a deadline pass while logs are read: those that were read stay,
// and of the others there is what came until then, and why that is not all.
func TestOutOfTime(t *testing.T) {
	whole := results.Capture{Complete: true}
	tests := map[string]struct {
		prepare func(*Reader, *kubelet)
		want    []outcome
	}{
		"while some hang": {func(*Reader, *kubelet) {}, []outcome{
			{"read", false, "one\n", whole},
			{"half", false, "half\n", outOfTime},
			{"silent", false, "", outOfTime},
		}},
		"while they wait for a stream": {func(r *Reader, _ *kubelet) { take(r.streams, int64(r.options.Streams)) }, []outcome{
			{"read", false, "", outOfTime}, {"half", false, "", outOfTime}, {"silent", false, "", outOfTime},
		}},
		"while they wait for memory": {func(r *Reader, _ *kubelet) { take(r.memory.short, r.memory.shortBytes) }, []outcome{
			{"read", false, "", outOfTime}, {"half", false, "", outOfTime}, {"silent", false, "", outOfTime},
		}},
		"while a long one waits for memory": {func(r *Reader, k *kubelet) {
			take(r.memory.long, r.memory.longBytes)
			k.logs["p1/read"] = longLog
		}, []outcome{
			{"read", false, "", outOfTime}, {"half", false, "half\n", outOfTime}, {"silent", false, "", outOfTime},
		}},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &kubelet{
					logs:   map[string]string{"p1/read": "one\n"},
					faults: map[string]fault{"p1/half": hangs("half\n"), "p1/silent": hangs("")},
				}
				reader := NewReader(k, Options{IdleTimeout: time.Hour})
				tc.prepare(reader, k)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began := time.Now()
				collected, release, err := reader.Collect(ctx, []*corev1.Pod{podWith(exited("read"), exited("half"), exited("silent"))})
				if err != nil || time.Since(began) != time.Minute || k.open != 0 {
					t.Fatalf("after %s: %v, %d streams open", time.Since(began), err, k.open)
				}
				release()
				if diff := cmp.Diff(tc.want, outcomes(collected[0])); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// endless sends until it is closed, and counts.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), e.left))
	for i := range n {
		p[i] = "0123456789abcde\n"[i%16]
	}
	e.left -= int64(n)
	return n, nil
}

func BenchmarkCollect(b *testing.B) {
	rules, err := redact.New(true, nil)
	if err != nil {
		b.Fatal(err)
	}
	for title, bench := range map[string]struct {
		size  int64
		rules *redact.Set
	}{"2 KiB": {2 << 10, nil}, "64 MiB": {64 << 20, nil}, "2 KiB redacted": {2 << 10, rules}, "64 MiB redacted": {64 << 20, rules}} {
		b.Run(title, func(b *testing.B) {
			size := bench.size
			k := &kubelet{faults: map[string]fault{"p1/c": func(_ context.Context, opts *corev1.PodLogOptions, _ string) (io.ReadCloser, error) {
				left := size
				if opts.TailLines != nil {
					left = 160
				}
				return io.NopCloser(&endless{left: left}), nil
			}}}
			reader := NewReader(k, Options{Redact: bench.rules})
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				collected, release, err := reader.Collect(b.Context(), []*corev1.Pod{podNamed("p1")})
				if err != nil || !collected[0].Logs[0].Capture.Complete {
					b.Fatal(err, collected[0].Logs[0].Capture)
				}
				release()
			}
		})
	}
}
