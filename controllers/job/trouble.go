package job

import (
	"context"
	"errors"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/internal/apierr"
	"github.com/job-handler/job-handler/internal/lookup"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultstore"
	"github.com/job-handler/job-handler/internal/retry"
)

// conflictRetry is how soon to retry after a conflict, until its cause has reached the
// cache.
const conflictRetry = 100 * time.Millisecond

// answer turns an error into a requeue. It returns only errors for the queue's backoff.
func (r *Reconciler) answer(ctx context.Context, job *batchv1.Job, result ctrl.Result, err error) (ctrl.Result, error) {
	if err == nil {
		return result, nil
	}
	logger := ctrl.LoggerFrom(ctx)
	class := classify(err)
	if ctx.Err() == nil && class != apierr.NotFound {
		r.Jobs.Retried(class)
	}
	switch class {
	case apierr.NotFound:
		if lookup.StillThere(ctx, r.Live, job) {
			r.Jobs.Retried(class)
			return ctrl.Result{}, err
		}
		r.forget(job.UID)
		logger.V(1).Info("nothing left to do", "cause", err.Error())
		return r.letGo(ctx, job)
	case apierr.Conflict:
		logger.V(1).Info("job changed meanwhile", "cause", err.Error())
		return ctrl.Result{RequeueAfter: conflictRetry}, nil
	case apierr.Rejected:
		wait := refusedRetry(r.Ledger.Refused(job), r.Options.TTLFloor)
		cause := apierr.CauseOf(err)
		r.Jobs.Refused(cause)
		logger.Error(err, "job not handled, trying again", "after", wait)
		r.Events.TryWarn(ctx, job, "refused/"+string(cause), "This Job could not be handled yet, trying again: "+err.Error())
		return ctrl.Result{RequeueAfter: wait, Priority: new(recheckPriority)}, nil
	default:
		return ctrl.Result{}, err
	}
}

// refusedRetry returns how long to wait after this many refusals. It stays well below the
// TTL that holds the Job meanwhile.
func refusedRetry(times int, floor time.Duration) time.Duration {
	wait := retry.LongestRefused
	if times < 3 {
		wait = retry.FirstRefused << (times - 1)
	}
	return max(retry.FirstRefused, min(wait, floor/4))
}

// staleError says that a change is invalid because the Job has changed.
type staleError struct{ err error }

func (e *staleError) Error() string { return "changing the job: " + e.err.Error() }

// classify adds the errors of this package to those of the API server.
func classify(err error) apierr.Class {
	var nameConflict *resultstore.NameConflictError
	var stale *staleError
	switch {
	case errors.As(err, &stale):
		return apierr.Transient
	case errors.As(err, &nameConflict), errors.Is(err, results.ErrUnfinished):
		return apierr.Rejected
	default:
		return apierr.Of(err)
	}
}
