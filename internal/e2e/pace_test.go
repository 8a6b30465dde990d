package e2e

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// startingPerProcessor is how many pods may be about to start for each processor
	// when one more story begins. A node that has to start more of them at once
	// starts none of them sooner.
	startingPerProcessor = 4
	// unseenFor is for how long a story that began counts as a pod, until its first
	// pod is seen.
	unseenFor = 3 * time.Second
	// longestPause is the longest time between two beginnings: pods may be there that
	// never start.
	longestPause = 20 * time.Second
	pacePoll     = 250 * time.Millisecond
)

// pace lets stories begin as fast as the machine carries them: one more while
// fewer than limit pods are about to start. It measures that at each beginning,
// since what a machine carries changes with what else it does.
type pace struct {
	w     *world
	limit int

	// turn is held by the story whose turn it is.
	turn sync.Mutex
	// The rest is guarded by turn.
	first, last time.Time
	// unseen are the beginnings of stories without pods so far, by namespace.
	unseen map[string]time.Time
	// took is how long pods took from their creation to their first container's start.
	took map[types.UID]time.Duration
	// most is how many pods were about to start at once.
	most int
}

func newPace(w *world) *pace {
	return &pace{
		w: w, limit: startingPerProcessor * runtime.GOMAXPROCS(0),
		unseen: map[string]time.Time{}, took: map[types.UID]time.Duration{},
	}
}

// begin returns when a story may begin in its namespace.
func (p *pace) begin(t *testing.T, namespace string) {
	t.Helper()
	p.turn.Lock()
	defer p.turn.Unlock()
	ticker := time.NewTicker(pacePoll)
	defer ticker.Stop()
	for !p.room(t) && time.Since(p.last) < longestPause {
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			return
		}
	}
	now := time.Now()
	if p.first.IsZero() {
		p.first = now
	}
	p.last, p.unseen[namespace] = now, now
}

// room is true if the machine carries one more story.
func (p *pace) room(t *testing.T) bool {
	var pods corev1.PodList
	if err := p.w.client.List(t.Context(), &pods); err != nil {
		return false
	}
	starting := p.look(pods.Items)
	p.most = max(p.most, starting)
	return starting < p.limit
}

// look notes how long pods took to start, and returns how many are about to,
// those of stories that just began included.
func (p *pace) look(pods []corev1.Pod) int {
	starting := 0
	for i := range pods {
		pod := &pods[i]
		delete(p.unseen, pod.Namespace)
		if started := startOf(pod); !started.IsZero() {
			p.took[pod.UID] = started.Sub(pod.CreationTimestamp.Time)
		} else if mayStart(pod) {
			starting++
		}
	}
	for namespace, began := range p.unseen {
		if time.Since(began) > unseenFor {
			delete(p.unseen, namespace)
			continue
		}
		starting++
	}
	return starting
}

// report says what was measured.
func (p *pace) report() {
	if len(p.took) == 0 {
		return
	}
	var all []time.Duration
	for _, took := range p.took {
		all = append(all, took)
	}
	slices.Sort(all)
	p.w.say("stories began within %s, so that at most %d pods were about to start at once (one more story below %d); "+
		"half of %d pods started %s after their creation, the slowest %s",
		p.last.Sub(p.first).Round(time.Second), p.most, p.limit, len(all), all[len(all)/2], all[len(all)-1])
}

// startOf returns when the pod's first container started, or the zero time.
func startOf(pod *corev1.Pod) time.Time {
	var first time.Time
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		var started time.Time
		switch {
		case status.State.Running != nil:
			started = status.State.Running.StartedAt.Time
		case status.State.Terminated != nil:
			started = status.State.Terminated.StartedAt.Time
		}
		if !started.IsZero() && (first.IsZero() || started.Before(first)) {
			first = started
		}
	}
	return first
}

// mayStart is true for a pod that the node is about to start.
func mayStart(pod *corev1.Pod) bool {
	if pod.Status.Phase != corev1.PodPending || pod.DeletionTimestamp != nil {
		return false
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		waiting := status.State.Waiting
		if waiting != nil && waiting.Reason != "ContainerCreating" && waiting.Reason != "PodInitializing" {
			// Its image is not there, say.
			return false
		}
	}
	return true
}
