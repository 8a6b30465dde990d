package job_test

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/controllers/job"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/results"
)

var _ job.LogCollector = &logs{}

// logs is what the containers wrote, and how reading it goes.
type logs struct {
	// read returns the log of a container, "hello from <pod>/<container>" if nil.
	read func(pod *corev1.Pod, container string) results.ContainerLog
	// during runs while logs are being read; its error ends the reading.
	during func(ctx context.Context) error
	// captures are those of a manager; nil: none.
	captures *capture.Captures

	mu sync.Mutex
	// asked holds the names of the pods of each reading.
	asked [][]string
	// held is how many readings' memory was not given back.
	held int
}

// Collect implements job.LogCollector.
func (l *logs) Collect(ctx context.Context, pods []*corev1.Pod) ([]results.Pod, func(), error) {
	var names []string
	for _, pod := range pods {
		names = append(names, pod.Name)
	}
	release := l.take(names)
	if l.during != nil {
		if err := l.during(ctx); err != nil {
			return nil, release, err
		}
	}
	var collected []results.Pod
	for _, pod := range pods {
		logs := results.Pod{Pod: pod}
		for _, container := range results.Containers(pod) {
			logs.Logs = append(logs.Logs, l.of(pod, container.Name))
		}
		collected = append(collected, logs)
	}
	return collected, release, nil
}

func (l *logs) take(names []string) (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, names)
	l.held++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.held--
	})
}

func (l *logs) of(pod *corev1.Pod, container string) results.ContainerLog {
	if l.read == nil {
		return whole(container, "hello from "+pod.Name+"/"+container+"\n")
	}
	return l.read(pod, container)
}

// capturesOf returns what a manager that reads with a collector captures with.
func capturesOf(collector job.LogCollector) *capture.Captures {
	if fake, isFake := collector.(*logs); isFake {
		return fake.captures
	}
	return nil
}

// inUse returns how many readings' memory was not given back.
func (l *logs) inUse() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// readings returns how often logs were read.
func (l *logs) readings() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.asked)
}

// readPods returns the names of the pods of each reading, in order.
func (l *logs) readPods() [][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.asked)
}

// whole is a log that was read to its end.
func whole(container, text string) results.ContainerLog {
	buffer := logtext.NewBuffer(1 << 20)
	_, _ = buffer.Write([]byte(text))
	return results.ContainerLog{Container: container, Text: buffer, Capture: results.Capture{Complete: true}}
}

// noise returns size bytes of text of which compressing leaves a good half.
func noise(size int) string {
	random := make([]byte, size/2)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	return hex.EncodeToString(random)
}

// unreachable is a log that a later attempt might bring.
func unreachable(container string) results.ContainerLog {
	return results.ContainerLog{Container: container, Capture: results.Capture{
		Reason: results.ReasonNodeUnreachable, Message: "dial tcp: connection refused", Retryable: true,
	}}
}

// gone is a log that nobody can read any more.
func gone(container string) results.ContainerLog {
	return results.ContainerLog{Container: container, Capture: results.Capture{
		Reason: results.ReasonContainerGone, Message: "the kubelet removed the container",
	}}
}
