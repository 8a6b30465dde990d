package job

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/results"
)

const (
	// cronJobRecheck is how long to wait until the CronJob controller has noticed a Job's
	// end. A watch tells it, so this is short.
	cronJobRecheck = 2 * time.Second
	// patientLooks is how many looks follow each other in that time. A CronJob that never
	// notices, because the Job only claims that the CronJob made it, is then asked every
	// patientRecheck.
	patientLooks   = 30
	patientRecheck = time.Minute
)

// storeAgain is when a Job is reconciled again whose results turn out to be missing.
const storeAgain = time.Millisecond

// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=delete

// remove deletes the Job, if its results are whole and its CronJob has noticed its end.
// It deletes only the state that was decided about.
func (r *Reconciler) remove(ctx context.Context, job *batchv1.Job) (ctrl.Result, error) {
	noted, err := tookNote(ctx, r.Live, job)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !noted {
		return ctrl.Result{RequeueAfter: untilNoted(r.Ledger.LookedAtCronJob(job)), Priority: new(recheckPriority)}, nil
	}
	found, err := r.found(ctx, job)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !found {
		return ctrl.Result{RequeueAfter: storeAgain}, nil
	}
	err = r.Client.Delete(ctx, job,
		client.Preconditions{UID: &job.UID, ResourceVersion: &job.ResourceVersion},
		client.PropagationPolicy(metav1.DeletePropagationBackground))
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("deleting job %s/%s: %w", job.Namespace, job.Name, err)
	}
	if err == nil {
		r.counts().deleted(job)
		r.Ledger.CausedDeletion(job, r.Clock.Now())
	}
	r.Ledger.Deleted(job, r.Clock.Now())
	ctrl.LoggerFrom(ctx).V(1).Info("job deleted")
	return ctrl.Result{}, nil
}

// untilNoted returns when to ask again whether the CronJob has noticed the Job's end.
func untilNoted(looks int) time.Duration {
	if looks > patientLooks {
		return patientRecheck
	}
	return cronJobRecheck
}

// changeSafely makes the change that was decided. If the change lets Kubernetes or
// another client delete a stored Job, it first verifies that the results exist.
func (r *Reconciler) changeSafely(ctx context.Context, job *batchv1.Job, decision plan.Decision) (ctrl.Result, error) {
	desired := decision.Desired
	timed := plan.Stored(desired) && desired.Spec.TTLSecondsAfterFinished != nil
	if timed && job.DeletionTimestamp == nil || decision.Released == plan.ReleasedStored {
		found, err := r.found(ctx, job)
		if err != nil {
			return ctrl.Result{}, err
		}
		if !found {
			return ctrl.Result{RequeueAfter: storeAgain}, nil
		}
	}
	changed, err := r.change(ctx, job, desired)
	if err == nil {
		r.counts().release(job, desired, decision.Released)
		r.Ledger.WroteTTL(job, changed, r.Clock.Now())
	}
	return ctrl.Result{}, err
}

// found reports whether the results of a stored Job exist and are whole. If not, it
// records that they have to be stored again.
func (r *Reconciler) found(ctx context.Context, job *batchv1.Job) (bool, error) {
	name := job.Annotations[api.ResultsNameAnnotation]
	err := r.Store.Check(ctx, job, plan.ResultsKind(job), name)
	if results.IsMismatch(err) {
		ctrl.LoggerFrom(ctx).Info("results are missing, storing them again", "results", name, "cause", err.Error())
		r.Ledger.Missing(job)
		r.Jobs.Missing()
		return false, nil
	}
	return err == nil, err
}
