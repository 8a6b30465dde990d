package joblogs

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// slowly is a LogStreamer that takes a second for each log, and notes the namespaces
// in the order in which their logs are read.
type slowly struct {
	mu    sync.Mutex
	order []string
}

// OpenLog implements LogStreamer.
func (s *slowly) OpenLog(_ context.Context, namespace, _ string, opts *corev1.PodLogOptions) (io.ReadCloser, error) {
	if opts.TailLines == nil {
		s.mu.Lock()
		s.order = append(s.order, namespace)
		s.mu.Unlock()
		<-time.After(time.Second)
	}
	return io.NopCloser(strings.NewReader("text\n")), nil
}

// TestNamespacesTakeTurns has Jobs of one namespace want every stream for long: the
// log of another one waits for one of their reads, not for all.
func TestNamespacesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const streams = 2
		kubelet := &slowly{}
		reader := NewReader(kubelet, Options{Streams: streams})
		read := func(namespace string, logs int) {
			var pods []*corev1.Pod
			for i := range logs {
				pod := podNamed(fmt.Sprintf("%s-%02d", namespace, i))
				pod.Namespace = namespace
				pods = append(pods, pod)
			}
			_, release, err := reader.Collect(t.Context(), pods)
			release()
			if err != nil {
				t.Error(err)
			}
		}
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() { read("many", 20) })
		}
		synctest.Wait()
		group.Go(func() { read("few", 1) })
		group.Wait()
		if first := slices.Index(kubelet.order, "few"); first < 0 || first > 2*streams {
			t.Errorf("the other namespace comes after %d reads", first)
		}
	})
}
