package retention

import (
	"context"
	"errors"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/retain"
)

// removeCaptures deletes captures of a Job whose results are stored, if the manager is
// done with the Job. The Job controller deletes them when it reports the results; a
// process that ended just then leaves some. Garbage collection deletes captures of a Job
// that is gone.
func (r *Retainer) removeCaptures(ctx context.Context, left *retain.Captures) error {
	of := job{namespace: left.Namespace, name: left.JobName, uid: left.JobUID}
	object, err := r.names.called(ctx, of, of.name)
	if err != nil || object == nil || !plan.Stored(object) || !jobstatus.Of(object).Finished() {
		return err
	}
	atWork, err := r.hasWork(ctx, object)
	if err != nil || atWork {
		return err
	}
	var failed []error
	for _, ref := range left.Refs {
		failed = append(failed, r.removeCapture(ctx, ref))
	}
	return errors.Join(failed...)
}

// removeCapture deletes an object that still holds captures.
func (r *Retainer) removeCapture(ctx context.Context, ref retain.Ref) error {
	object, err := r.get(ctx, ref)
	if err != nil {
		return ignoreGone(err)
	}
	if object.UID != ref.UID || !object.Ours() || retain.ClassOf(object) != retain.Captured {
		return nil
	}
	if err := r.delete(ctx, object, retain.ReasonCapture); err != nil {
		return ignoreGone(err)
	}
	ctrl.LoggerFrom(ctx).Info("captures of a job with stored results deleted",
		"namespace", ref.Namespace, "capture", ref.Name, "kind", ref.Kind)
	return nil
}

func ignoreGone(err error) error {
	if gone(err) {
		return nil
	}
	return err
}
