package e2e

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Reason == corev1.PodReasonUnschedulable {
			return false
		}
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

func TestPace(t *testing.T) {
	created := metav1.NewTime(time.Now().Truncate(time.Second).Add(-time.Minute))
	waiting := func(reason string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}
	}
	started := metav1.NewTime(created.Add(7 * time.Second))
	for name, test := range map[string]struct {
		phase    corev1.PodPhase
		state    corev1.ContainerState
		change   func(*corev1.Pod)
		starting int
		took     time.Duration
	}{
		"not scheduled":   {phase: corev1.PodPending, starting: 1},
		"being created":   {phase: corev1.PodPending, state: waiting("ContainerCreating"), starting: 1},
		"image not there": {phase: corev1.PodPending, state: waiting("ErrImagePull")},
		"unschedulable": {phase: corev1.PodPending, change: func(pod *corev1.Pod) {
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Reason: corev1.PodReasonUnschedulable}}
		}},
		"deleted": {phase: corev1.PodPending, change: func(pod *corev1.Pod) { pod.DeletionTimestamp = &created }},
		"running": {
			phase: corev1.PodRunning, took: 7 * time.Second,
			state: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}},
		},
		"ended": {
			phase: corev1.PodSucceeded, took: 7 * time.Second,
			state: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: started}},
		},
		"never started": {phase: corev1.PodFailed, state: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}},
	} {
		pod := &corev1.Pod{}
		pod.UID, pod.Namespace, pod.CreationTimestamp, pod.Status.Phase = "of a pod", "told", created, test.phase
		if test.state != (corev1.ContainerState{}) {
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{{State: test.state}}
		}
		if test.change != nil {
			test.change(pod)
		}
		p := newPace(nil)
		p.unseen["told"], p.unseen["just begun"], p.unseen["long ago"] = time.Now(), time.Now(), created.Time
		// The story that just began counts as a pod.
		if got := p.look([]corev1.Pod{*pod}) - 1; got != test.starting || p.took[pod.UID] != test.took {
			t.Errorf("%s: %d about to start, %s, want %d, %s", name, got, p.took[pod.UID], test.starting, test.took)
		}
	}
}
