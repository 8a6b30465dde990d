package job

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/results"
)

// loadingRecheck is when a Job is reconciled again whose captures cannot be loaded now.
const loadingRecheck = time.Second

// patience returns the rules for how long the Job waits before its results are stored.
func (r *Reconciler) patience(job *batchv1.Job) *plan.Patience {
	now := r.Clock.Now()
	return &plan.Patience{
		Now: now, LogDeadline: r.Options.LogDeadline, FollowSlack: capture.Slack, NodeGrace: results.NodeGrace,
		ProtectDeadline: r.Options.ProtectDeadline,
		Waited:          func(what plan.Waiting) time.Duration { return r.Ledger.Waited(job.UID, what, now) },
	}
}

// readAgain returns when to read the logs of the run again, and for how long in all. 0
// means that what was read is stored.
func (r *Reconciler) readAgain(job *batchv1.Job, run results.Run, nodeGone bool) (again, limit time.Duration) {
	patience, summary := r.patience(job), results.Summarize(run)
	first, tries := r.Ledger.Reading(job, patience.Now)
	return patience.ReadAgain(job, plan.Reading{
		First: first, Tries: tries, Complete: summary.Complete, Retryable: summary.Retryable, NodeGone: nodeGone,
	})
}

// lookWhenQuiet returns a function that enqueues the Job of a pod soon after none of its
// logs is followed any more. It waits a moment: a stream may end before the watch reports
// the end of its container.
func lookWhenQuiet(queue workqueue.TypedRateLimitingInterface[reconcile.Request]) func(pod *corev1.Pod) {
	return func(pod *corev1.Pod) {
		if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
			job := types.NamespacedName{Namespace: pod.Namespace, Name: owner.Name}
			queue.AddAfter(reconcile.Request{NamespacedName: job}, plan.SoonAgain)
		}
	}
}
