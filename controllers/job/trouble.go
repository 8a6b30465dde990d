package job

import (
	"context"
	"errors"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/trouble"
)

const (
	// Until a conflict's cause has reached the cache.
	conflictRetry = 100 * time.Millisecond
	// People need minutes, and the API server has others to serve: each time
	// the wait doubles, up to the longest.
	firstRefusedRetry   = time.Minute
	longestRefusedRetry = 4 * time.Minute
)

// answer turns an error into when to look again. It returns the errors only
// that the queue's backoff should answer.
func (r *Reconciler) answer(ctx context.Context, job *batchv1.Job, result ctrl.Result, err error) (ctrl.Result, error) {
	if err == nil {
		return result, nil
	}
	logger := ctrl.LoggerFrom(ctx)
	class := classify(err)
	if ctx.Err() == nil && class != trouble.Gone {
		r.Jobs.Retried(string(class))
	}
	switch class {
	case trouble.Gone:
		if r.stillThere(ctx, job) {
			r.Jobs.Retried(string(class))
			return ctrl.Result{}, err
		}
		r.forget(job.UID)
		logger.V(1).Info("nothing left to do", "cause", err.Error())
		return r.letGo(ctx, job)
	case trouble.Conflict:
		logger.V(1).Info("job changed meanwhile", "cause", err.Error())
		return ctrl.Result{RequeueAfter: conflictRetry}, nil
	case trouble.Refused:
		wait := r.refusedRetry(job)
		r.Jobs.Refused(trouble.Cause(err))
		logger.Error(err, "job not handled, trying again", "after", wait)
		r.warn(ctx, job, "refused/"+trouble.Cause(err), "Not done with this Job yet, trying again: "+err.Error())
		return ctrl.Result{RequeueAfter: wait, Priority: new(recheckPriority)}, nil
	default:
		return ctrl.Result{}, err
	}
}

// stillThere reports whether the Job and its namespace are there although
// something was not found: a webhook or a proxy may say so too.
func (r *Reconciler) stillThere(ctx context.Context, job *batchv1.Job) bool {
	namespace := policy.NewNamespace()
	if err := r.Live.Get(ctx, client.ObjectKey{Name: job.Namespace}, namespace); err != nil || namespace.DeletionTimestamp != nil {
		return false
	}
	now := &batchv1.Job{}
	return r.Live.Get(ctx, client.ObjectKeyFromObject(job), now) == nil && now.UID == job.UID
}

// refusedRetry returns how long to wait after one more refusal. It stays well
// below the TTL that holds the Job meanwhile.
func (r *Reconciler) refusedRetry(job *batchv1.Job) time.Duration {
	wait := longestRefusedRetry
	if times := r.runs.refused(job); times < 3 {
		wait = firstRefusedRetry << (times - 1)
	}
	return max(firstRefusedRetry, min(wait, r.Options.TTLFloor/4))
}

// warn sends a Warning Event if it can. What there is to do for the Job does
// not wait for it: Events may be refused for the very cause that it tells of.
func (r *Reconciler) warn(ctx context.Context, job *batchv1.Job, class, note string) {
	if err := r.Events.Warn(ctx, job, class, note); err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("warning not sent", "class", class, "cause", err.Error())
	}
}

// staleError says that a change of the Job is not valid on what it is by now.
type staleError struct{ err error }

func (e *staleError) Error() string { return "changing the job: " + e.err.Error() }

// classify adds the errors of this package to those of the API server.
func classify(err error) trouble.Class {
	var taken *namesTakenError
	var stale *staleError
	switch {
	case errors.As(err, &stale):
		return trouble.Passing
	case errors.As(err, &taken), errors.Is(err, results.ErrUnfinished):
		return trouble.Refused
	default:
		return trouble.Of(err)
	}
}
