package job

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/retry"
)

// recheckPriority is for re-checks of running Jobs, and for retries that may take long.
// They come after fresh work (0, and down to -9 for busy namespaces), and before Jobs
// that existed at the start (-100).
const recheckPriority = -10

// CacheOptions returns which Jobs and pods the cache holds: the opted-in ones, pruned
// within bounds that no user can raise. defaults say which labels may be propagated and
// which marks leave Jobs alone.
func CacheOptions(defaults policy.Defaults) map[client.Object]cache.ByObject {
	optedIn := labels.SelectorFromSet(labels.Set{api.EnabledLabel: api.True})
	return map[client.Object]cache.ByObject{
		&batchv1.Job{}: {Label: optedIn, Transform: prune(func(job *batchv1.Job) { pruneJob(job, defaults) })},
		&corev1.Pod{}:  {Label: optedIn, Transform: prune(prunePod)},
	}
}

// SetupWithManager registers the Reconciler with mgr, whose cache must have
// CacheOptions.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	err := mgr.GetFieldIndexer().IndexField(ctx, &corev1.Pod{}, PodsByJob, jobOfPod)
	if err != nil {
		return fmt.Errorf("indexing pods by job: %w", err)
	}
	followed := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		r.PodLogs.OnQuiet(lookWhenQuiet(queue))
		return nil
	})
	err = ctrl.NewControllerManagedBy(mgr).
		Named("job").
		For(&batchv1.Job{}, builder.WithPredicates(predicate.Funcs{
			CreateFunc: func(e event.CreateEvent) bool { return r.note(e.Object) },
			UpdateFunc: func(e event.UpdateEvent) bool { return r.note(e.ObjectNew) },
			DeleteFunc: r.leftCache,
		})).
		Watches(&batchv1.Job{}, handler.EnqueueRequestsFromMapFunc(r.cronJobs.siblings(r.Clock)), builder.WithPredicates(r.cronJobs.firstSeen())).
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(protectedIn(r.Client)), builder.WithPredicates(protectionEnds)).
		WatchesRawSource(followed).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: r.Options.Workers,
			RateLimiter:             retry.Limiter(),
			NewQueue:                newFairQueue(mgr.GetLogger()),
		}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the job controller: %w", err)
	}
	if !r.PodLogs.Enabled() {
		return nil
	}
	if err := mgr.Add(r.PodLogs.Watch(mgr.GetCache())); err != nil {
		return fmt.Errorf("setting up the capture of deleted pods: %w", err)
	}
	return nil
}

// leftCache forgets a Job that left the watch, and reports whether to reconcile it. If it
// still exists, its label was removed: it may still be opted in, or have our TTL or
// finalizer.
func (r *Reconciler) leftCache(e event.DeleteEvent) bool {
	job, ok := e.Object.(*batchv1.Job)
	if !ok {
		return true
	}
	if !r.Options.excludes(job.Namespace) {
		r.Ledger.Left(job)
	}
	r.forget(job.UID)
	if plan.Stored(job) {
		r.PodLogs.Left(job.UID)
	}
	return !plan.Stored(job) || policy.Protected(job)
}

// forget drops what is known about a Job that is stored, gone, or left alone.
func (r *Reconciler) forget(job types.UID) {
	r.Protection.SetHeld(r.Ledger.Forget(job))
	r.PodLogs.Forget(job)
	r.explained.forget(job)
	r.AtWork.Forgive(job)
}

// note records the Jobs whose results are to be stored, and enqueues each.
func (r *Reconciler) note(object client.Object) bool {
	if job, ok := object.(*batchv1.Job); ok && !r.Options.excludes(job.Namespace) {
		r.Ledger.Watched(job)
	}
	return true
}
