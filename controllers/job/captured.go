package job

import (
	"context"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/results"
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
	r.Captures.Finish(job.UID)
	if goes(job) || !r.Captures.Following(job.UID) {
		return 0
	}
	return r.patiently(job, followed, r.Options.LogDeadline+capture.Slack)
}

// patiently returns after how long to look again at a Job that waits for this, 0 if
// it has for limit.
func (r *Reconciler) patiently(job *batchv1.Job, what string, limit time.Duration) time.Duration {
	waited := r.runs.since(job.UID, what, r.Clock.Now())
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
	return r.patiently(job, podsEnd, r.Options.LogDeadline)
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
	if r.Captures == nil || goes(job) {
		return 0
	}
	lacking := plan.MissingPods(job, r.known(job, pods))
	if lacking.None() {
		return 0
	}
	left := podsCatchUp - r.runs.since(job.UID, missing, r.Clock.Now())
	if lacking.Pods > 0 {
		left = min(left, captureRecheck)
	}
	return max(0, left)
}

// What is waited for before a finished Job is stored.
const (
	followed  = "logs are followed"
	missing   = "pods are missing"
	nodesGone = "nodes are gone"
	podsEnd   = "pods are ending"
)

// since returns how long ago the Job was first found waiting for this.
func (r *runs) since(job types.UID, what string, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	run := r.get(job)
	if run.waiting == nil {
		run.waiting = map[string]time.Time{}
	}
	if run.waiting[what].IsZero() {
		run.waiting[what] = now
	}
	return now.Sub(run.waiting[what])
}

// captured returns what is kept of pods of the run, here and beside the Job. The
// logs are to be used until release is called.
func (r *Reconciler) captured(ctx context.Context, run *results.Run, kind string) (all []capture.Captured, release func(), err error) {
	restored, err := r.restore(ctx, run, kind)
	if err != nil {
		return nil, nil, err
	}
	here, releaseHere := r.Captures.Of(run.Job.UID)
	if restored == nil {
		return here, releaseHere, nil
	}
	all, releaseAll := restored.With(here)
	return all, func() {
		releaseHere()
		releaseAll()
		restored.Release()
	}, nil
}

// addCaptured adds to the run the pods that were captured and are gone, and to
// those that are still there what was captured of their logs and is more than
// could be read. The logs are to be used until release is called.
func (r *Reconciler) addCaptured(ctx context.Context, run *results.Run, kind string) (release func(), err error) {
	captured, release, err := r.captured(ctx, run, kind)
	if err != nil {
		return nil, err
	}
	withLogs := run.LogMode != api.LogModeStatus
	there := map[types.UID]*results.Pod{}
	for i := range run.Pods {
		there[run.Pods[i].Pod.UID] = &run.Pods[i]
	}
	pods := podsOf(run)
	var gone []results.Pod
	for _, c := range captured {
		switch pod := there[c.Pod.UID]; {
		case pod == nil && withLogs:
			gone = append(gone, results.Pod{Pod: c.Pod, Logs: c.Logs(nil)})
		case pod == nil:
			gone = append(gone, results.Pod{Pod: c.Pod})
		case withLogs:
			addLogs(pod, c.Logs(pod.Pod))
		}
	}
	run.Pods = append(run.Pods, gone...)
	for _, c := range captured {
		pods = append(pods, c.Pod)
	}
	lacking := plan.MissingPods(run.Job, pods)
	run.MissingPods, run.PerhapsMissingPods = lacking.Pods, lacking.Perhaps
	return sync.OnceFunc(release), nil
}

// addLogs gives the pod those of the captured logs that are better than what was
// read of them.
func addLogs(pod *results.Pod, captured []results.ContainerLog) {
	for _, log := range captured {
		found := false
		for i := range pod.Logs {
			read := &pod.Logs[i]
			if !sameInstance(read, &log) {
				continue
			}
			if found = true; log.Capture.Reason == results.ReasonNotFollowed {
				noteNotFollowed(read)
			} else {
				*read = results.BetterLog(*read, log)
			}
		}
		if !found {
			pod.Logs = append(pod.Logs, log)
		}
	}
}

// sameInstance reports whether both are logs of one instance. Where the kubelet does not
// tell which one it was, it is the one in the same place.
func sameInstance(read, captured *results.ContainerLog) bool {
	if read.Container != captured.Container || captured.Earlier != nil {
		return false
	}
	return read.Previous == captured.Previous &&
		(read.InstanceID == captured.InstanceID || read.InstanceID == "" || captured.InstanceID == "")
}

// noteNotFollowed says of a log that was read that it should have been followed.
func noteNotFollowed(read *results.ContainerLog) {
	if read.Capture.Message == "" {
		read.Capture.Message = capture.NotFollowed
		return
	}
	read.Capture.Message += "; " + capture.NotFollowed
}

// forget drops what is known of a Job that is stored, gone, or left alone.
func (r *Reconciler) forget(job types.UID) {
	r.runs.forget(job)
	r.forgetSpills(job)
	r.orphans.forget(job)
	r.poison.forget(job)
	r.explained.forget(job)
	r.Captures.Forget(job)
	r.AtWork.Forgive(job)
	r.Protection.SetHeld(r.runs.setHeld(job, false))
}
