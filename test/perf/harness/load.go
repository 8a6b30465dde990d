package harness

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/internal/policy"
)

const (
	// loaders is how many objects are made at a time.
	loaders  = 64
	pollStep = 50 * time.Millisecond
	// ran is how long the Jobs ran, by their status.
	ran = time.Minute
)

// batch is what Jobs are to be made.
type batch struct {
	namespace string
	jobs      int
	// optedIn has them be stamped as the webhook does.
	optedIn bool
	// finished has them be finished at once.
	finished bool
	// ttl is their ttlSecondsAfterFinished; nil: none.
	ttl *int32
}

// work is a Job and its pod as they were made.
type work struct {
	job *batchv1.Job
	pod *corev1.Pod
}

// load makes Jobs that run, each with a pod, and finishes them where that is
// wanted. Controllers are away meanwhile, until resume, so that nobody else makes
// pods.
func (w *world) load(ctx context.Context, b batch) ([]work, error) {
	if w.kind != noControllers {
		if err := w.cluster.Kill(ctx, localcluster.ControllerManager); err != nil {
			return nil, err
		}
	}
	made := make([]work, b.jobs)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(loaders)
	for i := range made {
		group.Go(func() (err error) {
			if made[i], err = w.begin(ctx, b, i); err != nil || !b.finished {
				return err
			}
			made[i].job, err = w.finish(ctx, made[i])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("making %d Jobs: %w", b.jobs, err)
	}
	return made, nil
}

// resume lets controllers work on what was loaded.
func (w *world) resume(ctx context.Context) error {
	if w.kind == noControllers {
		return nil
	}
	return w.cluster.Restart(ctx, localcluster.ControllerManager)
}

// begin makes a Job that runs, with its pod.
func (w *world) begin(ctx context.Context, b batch, i int) (work, error) {
	wanted := jobtest.MakeJob(b.namespace, fmt.Sprintf("job-%d", i)).Obj()
	wanted.Spec.TTLSecondsAfterFinished = b.ttl
	if b.optedIn {
		policy.Stamp(wanted, time.Hour, true, policy.LeftAlone{})
	}
	wanted.Spec.Template.Spec.NodeName = nodeName
	job, err := w.admin.BatchV1().Jobs(b.namespace).Create(ctx, wanted, metav1.CreateOptions{})
	if err != nil {
		return work{}, err
	}
	pod, err := w.admin.CoreV1().Pods(b.namespace).Create(ctx, podOf(job), metav1.CreateOptions{})
	if err != nil {
		return work{}, err
	}
	if b.finished {
		return work{job: job, pod: pod}, nil
	}
	started := metav1.NewTime(time.Now().Add(-ran).Truncate(time.Second))
	setPod(pod, corev1.PodRunning, started)
	if pod, err = w.admin.CoreV1().Pods(b.namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
		return work{}, err
	}
	job.Status.StartTime, job.Status.Active, job.Status.Ready = &started, 1, new(int32(1))
	job.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
	job, err = w.admin.BatchV1().Jobs(b.namespace).UpdateStatus(ctx, job, metav1.UpdateOptions{})
	return work{job: job, pod: pod}, err
}

// finish has the pod succeed, and then the Job complete, as kubelet and Job
// controller tell it.
func (w *world) finish(ctx context.Context, made work) (*batchv1.Job, error) {
	started := made.job.Status.StartTime
	if started == nil {
		started = new(metav1.NewTime(time.Now().Add(-ran).Truncate(time.Second)))
	}
	pod := made.pod.DeepCopy()
	setPod(pod, corev1.PodSucceeded, *started)
	if _, err := w.admin.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
		return nil, err
	}
	job := made.job.DeepCopy()
	now := metav1.Now()
	job.Status = batchv1.JobStatus{
		StartTime: started, CompletionTime: &now, Succeeded: 1, Ready: new(int32(0)),
		UncountedTerminatedPods: &batchv1.UncountedTerminatedPods{},
		Conditions: []batchv1.JobCondition{
			condition(batchv1.JobSuccessCriteriaMet, now), condition(batchv1.JobComplete, now),
		},
	}
	return w.admin.BatchV1().Jobs(job.Namespace).UpdateStatus(ctx, job, metav1.UpdateOptions{})
}

func condition(kind batchv1.JobConditionType, at metav1.Time) batchv1.JobCondition {
	return batchv1.JobCondition{
		Type: kind, Status: corev1.ConditionTrue, LastProbeTime: at, LastTransitionTime: at,
		Reason: batchv1.JobReasonCompletionsReached, Message: "Reached expected number of succeeded pods",
	}
}

// podOf returns the pod that the Job controller would make, but for the finalizer
// that it takes off at the end.
func podOf(job *batchv1.Job) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: job.Name, Labels: job.Spec.Template.Labels, Annotations: job.Spec.Template.Annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Spec: *job.Spec.Template.Spec.DeepCopy(),
	}
	pod.Spec.NodeName = nodeName
	return pod
}

func setPod(pod *corev1.Pod, phase corev1.PodPhase, started metav1.Time) {
	status := corev1.ContainerStatus{
		Name: pod.Spec.Containers[0].Name, Image: pod.Spec.Containers[0].Image,
		ImageID:     "docker.io/library/busybox@sha256:9ae97d36d26566ff84e8893c64a6dc4fe8ca6d1144bf5b87b2b85a32def253c7",
		ContainerID: "containerd://5f1b0b7a8f4c2f0f4f7f8b7f0a5d6c3e2b1a0f9e8d7c6b5a4f3e2d1c0b9a8f7e" + string(pod.UID[:4]),
	}
	if phase == corev1.PodRunning {
		status.Ready, status.Started = true, new(true)
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: started}
	} else {
		status.State.Terminated = &corev1.ContainerStateTerminated{
			Reason: "Completed", StartedAt: started, FinishedAt: metav1.Now(), ContainerID: status.ContainerID,
		}
	}
	pod.Status.Phase, pod.Status.StartTime = phase, &started
	pod.Status.HostIP, pod.Status.PodIP = loopback, "10.1.2.3"
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{status}
	pod.Status.Conditions = podConditions(phase, started)
}

func podConditions(phase corev1.PodPhase, at metav1.Time) []corev1.PodCondition {
	ready := corev1.ConditionFalse
	if phase == corev1.PodRunning {
		ready = corev1.ConditionTrue
	}
	conditions := []corev1.PodCondition{{Type: corev1.PodReady, Status: ready, LastTransitionTime: at}}
	for _, kind := range []corev1.PodConditionType{corev1.PodInitialized, corev1.ContainersReady, corev1.PodScheduled, corev1.PodReadyToStartContainers} {
		conditions = append(conditions, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: at})
	}
	return conditions
}

// poll waits until done, at most for timeout.
func poll(ctx context.Context, timeout time.Duration, done func(context.Context) (bool, error)) error {
	return wait.PollUntilContextTimeout(ctx, pollStep, timeout, true, done)
}

// resultsOf is the name of the results of the Job that was made as number i.
func resultsOf(i int) string { return fmt.Sprintf("job-%d%s", i, api.ResultsSuffix) }
