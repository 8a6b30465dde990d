package joblogs

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/results"
)

// kubelet is a LogStreamer that answers as a kubelet would, from logs in
// memory, unless a fault is set for a log. Logs are named by name.
type kubelet struct {
	mu sync.Mutex
	// logs are what containers wrote.
	logs map[string]string
	// faults answer instead. They get the answer that would have been right.
	faults map[string]fault
	// requests are what was asked for, in order of arrival.
	requests []string
	// open counts streams that are not closed, most the most at any time.
	open, most int
}

type fault func(ctx context.Context, opts *corev1.PodLogOptions, right string) (io.ReadCloser, error)

func name(pod, container string, previous bool) string {
	if previous {
		container += "/previous"
	}
	return pod + "/" + container
}

func (k *kubelet) OpenLog(ctx context.Context, _, pod string, opts *corev1.PodLogOptions) (io.ReadCloser, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	log := name(pod, opts.Container, opts.Previous)
	k.requests = append(k.requests, log+options(opts))
	right := k.logs[log]
	if opts.Timestamps {
		right = timed(right)
	}
	right = selected(right, opts)
	body := io.NopCloser(strings.NewReader(right))
	if fault := k.faults[log]; fault != nil {
		var err error
		if body, err = fault(ctx, opts, right); err != nil {
			return nil, err
		}
	}
	k.open++
	k.most = max(k.most, k.open)
	return &counted{ReadCloser: body, kubelet: k}, nil
}

func options(opts *corev1.PodLogOptions) string {
	var text string
	if opts.TailLines != nil {
		text += fmt.Sprintf(" tailLines=%d", *opts.TailLines)
	}
	if opts.LimitBytes != nil {
		text += fmt.Sprintf(" limitBytes=%d", *opts.LimitBytes)
	}
	return text
}

// selected returns what of log the options ask for.
func selected(log string, opts *corev1.PodLogOptions) string {
	if opts.TailLines != nil {
		lines := strings.SplitAfter(log, "\n")
		if lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		log = strings.Join(lines[max(0, len(lines)-int(*opts.TailLines)):], "")
	}
	if opts.LimitBytes != nil {
		log = log[:min(len(log), int(*opts.LimitBytes))]
	}
	return log
}

// timed returns text with a timestamp before each line, a microsecond apart.
func timed(text string) string {
	var out strings.Builder
	at := time.Date(2026, 11, 5, 10, 0, 1, 0, time.UTC)
	for line := range strings.Lines(text) {
		out.WriteString(at.Format(kubeletStamp) + " " + line)
		at = at.Add(time.Microsecond)
	}
	return out.String()
}

// kubeletStamp is how the kubelet writes timestamps.
const kubeletStamp = "2006-01-02T15:04:05.000000000Z07:00"

type counted struct {
	io.ReadCloser
	kubelet *kubelet
}

func (c *counted) Close() error {
	c.kubelet.mu.Lock()
	defer c.kubelet.mu.Unlock()
	c.kubelet.open--
	return c.ReadCloser.Close()
}

// refuses answers with err.
func refuses(err error) fault {
	return func(context.Context, *corev1.PodLogOptions, string) (io.ReadCloser, error) { return nil, err }
}

// sends answers whole reads with text, others as is right.
func sends(text string) fault {
	return func(_ context.Context, opts *corev1.PodLogOptions, right string) (io.ReadCloser, error) {
		if opts.TailLines == nil && opts.LimitBytes == nil {
			right = text
		}
		return io.NopCloser(strings.NewReader(right)), nil
	}
}

// appends sends text after every answer, or alone in place of a limited one.
func appends(text string) fault {
	return func(_ context.Context, _ *corev1.PodLogOptions, right string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(right + text)), nil
	}
}

// hangs sends text and then nothing, until its stream is closed.
func hangs(text string) fault {
	return func(context.Context, *corev1.PodLogOptions, string) (io.ReadCloser, error) {
		r, w := io.Pipe()
		return &hanging{Reader: io.MultiReader(strings.NewReader(text), r), pipe: r, writer: w}, nil
	}
}

type hanging struct {
	io.Reader
	pipe   *io.PipeReader
	writer *io.PipeWriter
}

func (h *hanging) Close() error { return h.pipe.Close() }

// stuck does not answer at all, until ctx ends.
func stuck(ctx context.Context, _ *corev1.PodLogOptions, _ string) (io.ReadCloser, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// breaks sends text and then an error.
func breaks(text string) fault {
	return func(context.Context, *corev1.PodLogOptions, string) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(text), broken{})), nil
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// podWith returns a finished pod, p1, with these main containers.
func podWith(containers ...corev1.ContainerStatus) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "batch", Name: "p1", UID: "uid-of-p1"},
		Spec:       corev1.PodSpec{NodeName: "node-1"},
		Status:     corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: containers},
	}
	for _, c := range containers {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: c.Name})
	}
	return pod
}

// exited returns a container that ran and ended.
func exited(name string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, State: ended()}
}

func ended() corev1.ContainerState {
	started := time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ContainerID: "containerd://0123abcd", StartedAt: metav1.NewTime(started), FinishedAt: metav1.NewTime(started.Add(time.Minute)),
	}}
}

// outcome is a ContainerLog as tests compare it.
type outcome struct {
	Container string
	Previous  bool
	Text      string
	Capture   results.Capture
}

func outcomes(pod results.Pod) []outcome {
	var list []outcome
	for _, l := range pod.Logs {
		o := outcome{Container: l.Container, Previous: l.Previous, Capture: l.Capture}
		if l.Text != nil {
			o.Text = string(l.Text.Head()) + string(l.Text.Tail())
		}
		list = append(list, o)
	}
	return list
}

// onTail answers with tail where only the last lines are asked for.
func onTail(tail, other fault) fault {
	return func(ctx context.Context, opts *corev1.PodLogOptions, right string) (io.ReadCloser, error) {
		if opts.TailLines != nil {
			return tail(ctx, opts, right)
		}
		return other(ctx, opts, right)
	}
}

// drips sends what is right byte by byte, each after a pause.
func drips(pause time.Duration) fault {
	return func(_ context.Context, _ *corev1.PodLogOptions, right string) (io.ReadCloser, error) {
		return io.NopCloser(&dripping{rest: right, pause: pause}), nil
	}
}

type dripping struct {
	rest  string
	pause time.Duration
}

func (d *dripping) Read(p []byte) (int, error) {
	if d.rest == "" {
		return 0, io.EOF
	}
	<-time.After(d.pause)
	n := copy(p[:1], d.rest)
	d.rest = d.rest[n:]
	return n, nil
}
