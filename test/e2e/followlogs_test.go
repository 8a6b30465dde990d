package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/job-handler/job-handler/internal/api"
)

// followPoll is how often new containers of the manager are looked for. They
// run for longer than that.
const followPoll = 200 * time.Millisecond

// follower writes what all containers of the manager log into one file.
type follower struct {
	pods    func(context.Context) ([]corev1.Pod, error)
	streams kubernetes.Interface

	mu   sync.Mutex
	file *os.File
	seen map[string]bool
	all  sync.WaitGroup
}

// followLogs follows the logs of the manager's pods, whichever there are, until
// the test ends.
func (w *world) followLogs(t *testing.T) {
	file, err := os.Create(w.log.path)
	if err != nil {
		t.Fatal(err)
	}
	streams, err := kubernetes.NewForConfig(w.cluster.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	w.manager.client = w.client
	f := &follower{pods: w.manager.pods, streams: streams, file: file, seen: map[string]bool{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	f.all.Go(func() { f.run(ctx) })
	t.Cleanup(func() {
		cancel()
		f.all.Wait()
		file.Close()
	})
}

func (f *follower) run(ctx context.Context) {
	ticker := time.NewTicker(followPoll)
	defer ticker.Stop()
	for ctx.Err() == nil {
		// What cannot be listed now can be a moment later.
		pods, _ := f.pods(ctx)
		for i := range pods {
			f.look(ctx, &pods[i])
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// look starts to follow a container that has started and was not seen before.
func (f *follower) look(ctx context.Context, pod *corev1.Pod) {
	for _, status := range pod.Status.ContainerStatuses {
		if status.ContainerID == "" || status.State.Waiting != nil || f.seen[status.ContainerID] {
			continue
		}
		f.seen[status.ContainerID] = true
		f.all.Go(func() { f.follow(ctx, pod.Name, status.Name) })
	}
}

func (f *follower) follow(ctx context.Context, pod, container string) {
	stream, err := f.streams.CoreV1().Pods(api.ManagerNamespace).
		GetLogs(pod, &corev1.PodLogOptions{Container: container, Follow: true}).Stream(ctx)
	if err != nil {
		if ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "e2e: the log of pod %s cannot be followed: %v\n", pod, err)
		}
		return
	}
	defer stream.Close()
	lines := bufio.NewReader(stream)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			f.write(line)
		}
		if err != nil {
			return
		}
	}
}

func (f *follower) write(line []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if line[len(line)-1] != '\n' {
		line = append(line, '\n')
	}
	_, _ = f.file.Write(line)
}
