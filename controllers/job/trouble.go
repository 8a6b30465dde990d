package job

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/internal/results"
)

// trouble is a class of errors that are answered alike.
type trouble string

const (
	// gone: the Job, or its namespace, is not there any more. Stop.
	gone trouble = "gone"
	// conflict: what was decided about is an old state. Observe again.
	conflict trouble = "conflict"
	// refused: a quota, missing rights or a taken name, for people to mend.
	// Retry slowly; others are not affected.
	refused trouble = "refused"
	// passing: the API server is busy or away. Retry with backoff.
	passing trouble = "passing"
)

const (
	// Until a conflict's cause has reached the cache.
	conflictRetry = 100 * time.Millisecond
	// People need minutes, and the API server has others to serve.
	refusedRetry = time.Minute
)

// answer turns an error into when to look again. It returns the errors only
// that the queue's backoff should answer.
func (r *Reconciler) answer(ctx context.Context, job *batchv1.Job, result ctrl.Result, err error) (ctrl.Result, error) {
	if err == nil {
		return result, nil
	}
	switch classify(err) {
	case gone:
		ctrl.LoggerFrom(ctx).V(1).Info("nothing left to do", "cause", err.Error())
		return ctrl.Result{}, nil
	case conflict:
		ctrl.LoggerFrom(ctx).V(1).Info("job changed meanwhile", "cause", err.Error())
		return ctrl.Result{RequeueAfter: conflictRetry}, nil
	case refused:
		ctrl.LoggerFrom(ctx).Error(err, "job not handled, trying again", "after", refusedRetry)
		// The Warning may be refused for the same cause; the log has it.
		_ = r.Events.Warn(ctx, job, "refused/"+causeOf(err), "Not done with this Job yet, trying again: "+err.Error())
		return ctrl.Result{RequeueAfter: refusedRetry}, nil
	default:
		return ctrl.Result{}, err
	}
}

// staleError says that a change of the Job is not valid on what it is by now.
type staleError struct{ err error }

func (e *staleError) Error() string { return "changing the job: " + e.err.Error() }

func classify(err error) trouble {
	var taken *namesTakenError
	var stale *staleError
	switch {
	case errors.As(err, &stale):
		return passing
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), apierrors.IsNotFound(err):
		return gone
	case apierrors.IsConflict(err):
		return conflict
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), tooLarge(err),
		errors.As(err, &taken), errors.Is(err, results.ErrUnfinished):
		return refused
	default:
		return passing
	}
}

// causeOf tells causes apart of which each deserves its own Warning.
func causeOf(err error) string {
	switch {
	case strings.Contains(err.Error(), "exceeded quota"):
		return "quota"
	case apierrors.IsForbidden(err):
		return "rights"
	case tooLarge(err):
		return "size"
	default:
		return "other"
	}
}

// tooLarge reports whether the server refused an object for its size: by its
// own limits (413, 422) or etcd's, which arrives as a 500 without a reason.
func tooLarge(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	switch status.Status().Code {
	case http.StatusRequestEntityTooLarge:
		return true
	case http.StatusUnprocessableEntity:
		return strings.Contains(status.Status().Message, "Too long")
	case http.StatusInternalServerError:
		return strings.Contains(status.Status().Message, "request is too large")
	default:
		return false
	}
}
