package job

import (
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/ledger"
	"github.com/job-handler/job-handler/internal/plan"
)

const (
	// captureRecheck is how soon a finished Job is looked at again whose pods are still
	// to be seen deleted, or, besides when that ends, whose logs are still being
	// followed. For the latter it doubles up to longestLogRetry.
	captureRecheck = 200 * time.Millisecond
	// podsCatchUp is how long the watch of pods may be behind that of Jobs.
	podsCatchUp = time.Second
)

// awaitLogs returns after how long to look again since logs of the Job's pods are
// still being followed, 0 if none is, or if that takes longer than reading logs is
// tried again. When the last of them ends, quiet has the Job be looked at soon:
// looking again is for what that may have missed, and for the deadline.
func (r *Reconciler) awaitLogs(job *batchv1.Job) time.Duration {
	if following := r.PodLogs.Following(job.UID); goes(job) || !following {
		return 0
	}
	return r.patiently(job, ledger.ForFollowedLogs, r.Options.LogDeadline+capture.Slack)
}

// patiently returns after how long to look again at a Job that waits for this, 0 if
// it has for limit.
func (r *Reconciler) patiently(job *batchv1.Job, what ledger.Wait, limit time.Duration) time.Duration {
	waited := r.Ledger.Waited(job.UID, what, r.Clock.Now())
	if waited >= limit {
		return 0
	}
	return min(max(captureRecheck, waited), longestLogRetry, limit-waited)
}

// awaitEnds returns after how long to look again since pods of the Job are being
// deleted and have not ended, 0 if none is, or if that takes longer than reading logs
// is tried again. Before 1.31 Kubernetes calls a Job failed as soon as the deletion of
// its pods has begun. Where logs are read, a log waits for the end of its container.
func (r *Reconciler) awaitEnds(job *batchv1.Job, logMode string, pods []*corev1.Pod) time.Duration {
	ending := func(pod *corev1.Pod) bool { return pod.DeletionTimestamp != nil && !ended(pod) }
	if logMode != api.LogModeStatus || goes(job) || !slices.ContainsFunc(pods, ending) {
		return 0
	}
	return r.patiently(job, ledger.ForEndOfPods, r.Options.LogDeadline)
}

// loadingRecheck is how soon a Job is looked at again whose captures cannot be loaded now.
const loadingRecheck = time.Second

// awaitLoading returns after how long to look again at a Job whose captures cannot be
// loaded now, 0 if they can, or if there are none.
func (r *Reconciler) awaitLoading(job *batchv1.Job, kind string, pods []*corev1.Pod) time.Duration {
	if r.PodLogs.Busy(job, kind, pods) {
		return loadingRecheck
	}
	return 0
}

// quiet has the Job of the pod be looked at soon after none of its logs is followed any
// more: the end of a stream may come before the watch reports that of its container.
func (r *Reconciler) quiet(queue workqueue.TypedRateLimitingInterface[reconcile.Request]) func(pod *corev1.Pod) {
	return func(pod *corev1.Pod) {
		if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
			job := types.NamespacedName{Namespace: pod.Namespace, Name: owner.Name}
			queue.AddAfter(reconcile.Request{NamespacedName: job}, captureRecheck)
		}
	}
}

// awaitPods returns after how long to look again since pods are missing that the
// watch of deleted ones may yet tell of, 0 if it will not.
func (r *Reconciler) awaitPods(job *batchv1.Job, pods []*corev1.Pod) time.Duration {
	if !r.PodLogs.Enabled() || goes(job) {
		return 0
	}
	lacking := plan.MissingPods(job, r.PodLogs.Known(job, pods))
	if lacking.None() {
		return 0
	}
	left := podsCatchUp - r.Ledger.Waited(job.UID, ledger.ForMissingPods, r.Clock.Now())
	if lacking.Pods > 0 {
		left = min(left, captureRecheck)
	}
	return max(0, left)
}

// forget drops what is known of a Job that is stored, gone, or left alone.
func (r *Reconciler) forget(job types.UID) {
	r.Protection.SetHeld(r.Ledger.Forget(job))
	r.PodLogs.Forget(job)
	r.explained.forget(job)
	r.AtWork.Forgive(job)
}
