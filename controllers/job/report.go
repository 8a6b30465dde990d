package job

import (
	"context"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/jobpatch"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/why"
)

// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create

// report tells that results are stored: the Event first, then everything on
// the Job in one patch, so that a status on the Job means that the Event was
// sent. It goes on to the deletion where that is due.
func (r *Reconciler) report(ctx context.Context, observed plan.Observation, results stored) (ctrl.Result, error) {
	job := observed.Job
	if err := r.sendOutcome(ctx, observed, results); err != nil {
		return ctrl.Result{}, err
	}
	job, err := r.change(ctx, job, plan.Report(observed, results.name, results.value()))
	if err != nil {
		return ctrl.Result{}, err
	}
	r.warnOfMadeAgain(ctx, observed, results.value())
	r.countRelease(observed.Job, job, plan.ReleasedStored)
	r.Ledger.WroteTTL(observed.Job, job, r.Clock.Now())
	r.Ledger.GaveTTL(observed.Job, job)
	r.countStored(observed, results)
	r.Ledger.Reported(job, r.Clock.Now())
	r.PodLogs.Stored(job.UID)
	r.AtWork.Forgive(job.UID)
	r.explained.forget(job.UID)
	if job.DeletionTimestamp != nil && len(job.Finalizers) == 0 {
		r.forget(job.UID)
	}
	ctrl.LoggerFrom(ctx).Info("results stored", "status", job.Annotations[api.StatusAnnotation],
		"results", results.name, "capture", results.value())
	observed.Job, observed.Unstored = job, false
	if plan.Decide(observed, r.Clock.Now()).Action == plan.Delete {
		return r.remove(ctx, job)
	}
	r.PodLogs.RemoveSaved(ctx, job)
	return ctrl.Result{}, nil
}

func (r *Reconciler) sendOutcome(ctx context.Context, observed plan.Observation, results stored) error {
	outcome := jobstatus.Of(observed.Job)
	fate := plan.FateOf(observed, outcome, results.value())
	notice := events.Notice{Action: api.ActionStore, Class: "outcome"}
	if outcome.Phase == jobstatus.Completed {
		notice.Type = corev1.EventTypeNormal
		notice.Note = fmt.Sprintf("Job completed; results stored in %s; %s", results, fate.Why)
	} else {
		notice.Type = corev1.EventTypeWarning
		notice.Note = fmt.Sprintf("Job failed (%s); results stored in %s; %s", reason(outcome, results.explanation), results, fate.Why)
	}
	if err := r.Events.Send(ctx, observed.Job, notice); err != nil || results.capture.Complete {
		return err
	}
	return r.Events.Send(ctx, observed.Job, events.Notice{
		Type: corev1.EventTypeWarning, Action: api.ActionStore, Class: "capture",
		Note: fmt.Sprintf("The logs in %s are incomplete: %s", results, results.capture.Why),
	})
}

// reason says why the Job failed: by its condition, and by what explains most, of
// which names and Kubernetes' own words are quoted alone.
func reason(outcome jobstatus.Outcome, explanation why.Explanation) string {
	said := outcome.Reason
	if outcome.Message != "" {
		said += ": " + strings.TrimRight(outcome.Message, ".")
	}
	if quoted := explanation.Quotable(); quoted != "" {
		said += "; " + quoted
	}
	return said
}

// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=patch

// change patches job to desired, on the condition that job is still the state
// that the server has, and returns what the server has then.
func (r *Reconciler) change(ctx context.Context, job, desired *batchv1.Job) (*batchv1.Job, error) {
	patched := desired.DeepCopy()
	written, err := r.large.write(ctx, job)
	if err != nil {
		return nil, fmt.Errorf("patching job %s/%s: %w", job.Namespace, job.Name, err)
	}
	err = r.Client.Patch(ctx, patched, jobpatch.From(job))
	written()
	if apierrors.IsInvalid(err) {
		return nil, r.explainInvalid(ctx, job, err)
	}
	if err != nil {
		return nil, fmt.Errorf("patching job %s/%s: %w", job.Namespace, job.Name, err)
	}
	pruneJob(patched, r.Options.Defaults)
	return patched, nil
}

// explainInvalid tells a change that came too late, since the Job is another
// one by now, from one that is not taken at all, by a policy of the cluster for
// example.
func (r *Reconciler) explainInvalid(ctx context.Context, job *batchv1.Job, refusal error) error {
	now := &batchv1.Job{}
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(job), now)
	if err == nil && now.UID == job.UID && now.ResourceVersion == job.ResourceVersion {
		return fmt.Errorf("patching job %s/%s: %w", job.Namespace, job.Name, refusal)
	}
	return &staleError{err: refusal}
}
