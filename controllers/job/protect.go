package job

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/apierr"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

// inTime makes the next pass over a Job whose deletion our finalizer delays come no later
// than the end of that delay.
func inTime(job *batchv1.Job, result ctrl.Result, deadline time.Duration, now time.Time) ctrl.Result {
	until, held := plan.HeldUntil(job, deadline)
	left := until.Sub(now)
	if held && left > 0 && left < result.RequeueAfter {
		result.RequeueAfter = left
	}
	return result
}

// giveUp removes our finalizer, with a Warning, from a Job whose results could not be
// stored while its deletion was delayed. It returns an error if that has to be tried
// again: the Job or its namespace changed or is being deleted, or this process ends.
func (r *Reconciler) giveUp(ctx context.Context, job *batchv1.Job, cause error) error {
	class := classify(cause)
	if class == apierr.NotFound || class == apierr.Conflict || ctx.Err() != nil {
		return cause
	}
	released, err := r.change(ctx, job, plan.Unprotect(job))
	if err != nil {
		return err
	}
	r.counts().release(job, released, plan.ReleasedDeadline)
	ctrl.LoggerFrom(ctx).Error(cause, "job released without results", "deadline", r.Options.ProtectDeadline)
	r.Events.TryWarn(ctx, job, "protect", fmt.Sprintf(
		"The Job is deleted without stored results: its deletion was delayed for %s, and the last try failed: %v", r.Options.ProtectDeadline, cause))
	r.forget(job.UID)
	return nil
}

// letGo removes our finalizer from a Job whose results can no longer be stored: its
// namespace is being deleted, or the Job is gone.
func (r *Reconciler) letGo(ctx context.Context, job *batchv1.Job) (ctrl.Result, error) {
	desired := plan.Unprotect(job)
	if desired == nil {
		return ctrl.Result{}, nil
	}
	leave, entered := r.large.enter(job)
	if !entered {
		return largeLater(), nil
	}
	defer leave()
	_, err := r.change(ctx, job, desired)
	switch {
	case err == nil:
		r.counts().release(job, desired, plan.ReleasedNamespace)
	case classify(err) == apierr.Conflict:
		return ctrl.Result{RequeueAfter: conflictRetry}, nil
	}
	return ctrl.Result{}, client.IgnoreNotFound(err)
}

// protectionEnds handles Namespaces that begin to terminate, or whose protection changes,
// so that Jobs that wait long, for example for a quota, are reconciled at once.
var protectionEnds = predicate.Funcs{
	CreateFunc: func(event.CreateEvent) bool { return false },
	DeleteFunc: func(event.DeleteEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetDeletionTimestamp() == nil && e.ObjectNew.GetDeletionTimestamp() != nil ||
			e.ObjectOld.GetAnnotations()[api.ProtectAnnotation] != e.ObjectNew.GetAnnotations()[api.ProtectAnnotation]
	},
}

// protectedIn returns a function that finds the Jobs of a Namespace with our finalizer.
func protectedIn(cached client.Reader) handler.MapFunc {
	return func(ctx context.Context, namespace client.Object) []ctrl.Request {
		var jobs batchv1.JobList
		// They are read only: copies of all Jobs of a namespace may take long and much
		// memory.
		if err := cached.List(ctx, &jobs, client.InNamespace(namespace.GetName()), client.UnsafeDisableDeepCopy); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "protected jobs are not checked before their next re-check", "namespace", namespace.GetName())
			return nil
		}
		var requests []ctrl.Request
		for i := range jobs.Items {
			if policy.Protected(&jobs.Items[i]) {
				requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&jobs.Items[i])})
			}
		}
		return requests
	}
}
