package adversary_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

const (
	// neighbourJobs finish, one every neighbourPace.
	neighbourJobs = 40
	neighbourPace = 100 * time.Millisecond
	// patience is how long all that is waited for may take on a busy machine.
	patience = 4 * time.Minute
	poll     = 100 * time.Millisecond
)

// neighbour is a namespace whose Jobs finish, and how long each of them is there
// from then on.
type neighbour struct {
	*world

	namespace string
	mu        sync.Mutex
	finished  map[string]time.Time
	took      []time.Duration
	// gone has an element for each Job that went.
	gone chan struct{}
}

func (w *world) newNeighbour(ctx context.Context) (*neighbour, error) {
	namespace, err := w.newNamespace(ctx, "neighbour", true)
	if err != nil {
		return nil, err
	}
	n := &neighbour{world: w, namespace: namespace, finished: map[string]time.Time{}, gone: make(chan struct{}, neighbourJobs)}
	changes, err := w.Watch(ctx, &batchv1.JobList{}, client.InNamespace(namespace))
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, changes.Stop)
	go n.observe(changes)
	return n, nil
}

func (n *neighbour) observe(changes watch.Interface) {
	for change := range changes.ResultChan() {
		job, is := change.Object.(*batchv1.Job)
		if !is || change.Type != watch.Deleted {
			continue
		}
		n.mu.Lock()
		n.took = append(n.took, time.Since(n.finished[job.Name]))
		n.mu.Unlock()
		n.gone <- struct{}{}
	}
}

// work has all Jobs finish, and waits until they are gone or ended is closed.
func (n *neighbour) work(ctx context.Context, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i := range neighbourJobs {
		if err := n.finish(ctx, fmt.Sprintf("job-%d", i)); err != nil {
			return fmt.Errorf("finishing a Job of the neighbour: %w", err)
		}
		pause(ctx, neighbourPace)
	}
	for i := range neighbourJobs {
		select {
		case <-n.gone:
		case <-ended:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("%d of the neighbour's %d Jobs are gone after %s", i, neighbourJobs, patience)
		}
	}
	return n.judge(ctx)
}

// finish makes a Job whose pod has ended, and has it be complete.
func (n *neighbour) finish(ctx context.Context, name string) error {
	job := jobtest.MakeJob(n.namespace, name).Label(api.EnabledLabel, api.True).Obj()
	if err := n.Create(ctx, job); err != nil {
		return err
	}
	pod := podOf(job, name+"-0")
	if err := n.Create(ctx, pod); err != nil {
		return err
	}
	if err := n.setEnded(ctx, pod); err != nil {
		return err
	}
	n.mu.Lock()
	n.finished[name] = time.Now()
	n.mu.Unlock()
	return n.complete(ctx, job, 1)
}

// judge returns what is wrong with what the Jobs left.
func (n *neighbour) judge(ctx context.Context) error {
	var stored corev1.ConfigMapList
	if err := n.List(ctx, &stored, client.InNamespace(n.namespace), client.MatchingLabels{api.CreatedLabel: api.True}); err != nil {
		return err
	}
	if len(stored.Items) != neighbourJobs {
		return fmt.Errorf("the neighbour has %d results of %d Jobs", len(stored.Items), neighbourJobs)
	}
	for i := range stored.Items {
		if logs := stored.Items[i].Data[api.DataLogs]; !containsAll(logs, neighbourLog) {
			return fmt.Errorf("the logs of the neighbour's %s are %q", stored.Items[i].Name, logs)
		}
	}
	return nil
}

// percentile returns how long so many percent of the Jobs were there at most.
func (n *neighbour) percentile(percent int) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(n.took))
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)].Round(time.Millisecond)
}

// podOf returns a pod of the Job on the node of the tests.
func podOf(job *batchv1.Job, name string) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: name, Labels: job.Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Spec: *job.Spec.Template.Spec.DeepCopy(),
	}
	pod.Spec.NodeName = nodeName
	return pod
}

// setRunning says of a pod that its containers run.
func (w *world) setRunning(ctx context.Context, pod *corev1.Pod) error {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: pod.CreationTimestamp}}
	return w.setStatus(ctx, pod, corev1.PodRunning, running)
}

// setEnded says of a pod that its containers have succeeded.
func (w *world) setEnded(ctx context.Context, pod *corev1.Pod) error {
	return w.setStatus(ctx, pod, corev1.PodSucceeded, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		Reason: "Completed", ContainerID: "fake://0", StartedAt: pod.CreationTimestamp, FinishedAt: metav1.Now(),
	}})
}

func (w *world) setStatus(ctx context.Context, pod *corev1.Pod, phase corev1.PodPhase, state corev1.ContainerState) error {
	pod.Status.Phase, pod.Status.StartTime = phase, &pod.CreationTimestamp
	pod.Status.ContainerStatuses = nil
	for i := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: pod.Spec.Containers[i].Name, Image: pod.Spec.Containers[i].Image, ImageID: "sha256:abc", ContainerID: "fake://0",
			Ready: state.Running != nil, State: state,
		})
	}
	return w.Status().Update(ctx, pod)
}

// complete has a Job be complete with so many pods, as the Job controller says it.
func (w *world) complete(ctx context.Context, job *batchv1.Job, pods int32) error {
	now := metav1.Now()
	job.Status = batchv1.JobStatus{
		StartTime: &job.CreationTimestamp, CompletionTime: &now, Succeeded: pods, UncountedTerminatedPods: &batchv1.UncountedTerminatedPods{},
	}
	for _, kind := range []batchv1.JobConditionType{batchv1.JobSuccessCriteriaMet, batchv1.JobComplete} {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
			Type: kind, Status: corev1.ConditionTrue, LastProbeTime: now, LastTransitionTime: now,
			Reason: batchv1.JobReasonCompletionsReached, Message: "Reached expected number of succeeded pods",
		})
	}
	return w.Status().Update(ctx, job)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
