package capture

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// restarting is a LogStreamer that has the logs of one container, main of the pod p, which
// is started again and again: as a kubelet does it resolves which log is meant when a
// request arrives, and removes the log of an instance when the next one has ended.
type restarting struct {
	mu    sync.Mutex
	lives []*instance
	// waiting is true while the container is to be started again.
	waiting bool
	// keepsAll has it remove nothing.
	keepsAll bool
	// latencies are how long requests take to arrive, one after the other.
	latencies []time.Duration
	// requests counts what was asked for.
	requests int
	// refused are how many requests are still to be answered with an error.
	refused int
}

// instance is one of the container, as it was.
type instance struct {
	started, ended time.Time
	exit           int32
	text, stamped  string
	removed        bool
}

func (i *instance) dead() bool { return !i.ended.IsZero() }

// start starts the container.
func (k *restarting) start() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lives = append(k.lives, &instance{started: time.Now()})
	k.waiting = false
}

// say adds a line to the log.
func (k *restarting) say(text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	last := k.lives[len(k.lives)-1]
	last.text += text
	last.stamped += time.Now().UTC().Format(time.RFC3339Nano) + " " + text
}

// end ends the container.
func (k *restarting) end(exit int32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	last := len(k.lives) - 1
	k.lives[last].ended, k.lives[last].exit = time.Now(), exit
	if last > 0 && !k.keepsAll {
		k.lives[last-1].removed = true
	}
}

// wait has the container wait to be started again.
func (k *restarting) wait() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting = true
}

func id(i int) string { return fmt.Sprintf("containerd://life%04d", i) }

// status returns the pod as the kubelet knows it.
func (k *restarting) status(phase corev1.PodPhase) *corev1.Pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	pod := ours(runningPod("p", "main"))
	pod.Spec.RestartPolicy, pod.Status.Phase = corev1.RestartPolicyOnFailure, phase
	last := len(k.lives) - 1
	s := &pod.Status.ContainerStatuses[0]
	s.ContainerID, s.RestartCount, s.State = id(last), int32(last), corev1.ContainerState{}
	switch {
	case k.waiting:
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}
		s.LastTerminationState = k.terminated(last)
		return pod
	case k.lives[last].dead():
		s.State = k.terminated(last)
	default:
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: second(k.lives[last].started)}
	}
	if last > 0 {
		s.LastTerminationState = k.terminated(last - 1)
	}
	return pod
}

func (k *restarting) terminated(i int) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ContainerID: id(i), ExitCode: k.lives[i].exit, Reason: "Error", Message: "not to be kept",
		StartedAt: second(k.lives[i].started), FinishedAt: second(k.lives[i].ended),
	}}
}

func second(at time.Time) metav1.Time { return metav1.NewTime(at.Truncate(time.Second)) }

// OpenLog implements joblogs.LogStreamer.
func (k *restarting) OpenLog(ctx context.Context, _, _ string, opts *corev1.PodLogOptions) (io.ReadCloser, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.requests++
	if n := len(k.latencies); n > 0 {
		latency := k.latencies[k.requests%n]
		k.mu.Unlock()
		<-time.After(latency)
		k.mu.Lock()
	}
	if k.refused > 0 {
		k.refused--
		return nil, apierrors.NewInternalError(io.ErrUnexpectedEOF)
	}
	at := len(k.lives) - 1
	if opts.Previous && !k.waiting {
		at--
	}
	if at < 0 {
		return nil, apierrors.NewBadRequest(`previous terminated container "main" in pod "p" not found`)
	}
	life := k.lives[at]
	if life.removed {
		return io.NopCloser(strings.NewReader("unable to retrieve container logs for " + id(at))), nil
	}
	text := life.text
	if opts.Timestamps {
		text = life.stamped
	}
	if opts.TailLines != nil {
		lines := strings.SplitAfter(text, "\n")
		text = strings.Join(lines[max(0, len(lines)-1-int(*opts.TailLines)):], "")
	}
	if opts.Follow && !life.dead() {
		return &openEnded{strings.NewReader(text), ctx.Done()}, nil
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// openEnded is a log that does not end.
type openEnded struct {
	text *strings.Reader
	done <-chan struct{}
}

func (o *openEnded) Read(p []byte) (int, error) {
	if o.text.Len() > 0 {
		return o.text.Read(p)
	}
	<-o.done
	return 0, context.Canceled
}

func (o *openEnded) Close() error { return nil }
