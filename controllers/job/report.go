package job

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/resultstore"
	"github.com/job-handler/job-handler/internal/why"
)

// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create

// report sends the Event and then changes the Job in one patch: a status on the Job means
// that the Event was sent. It goes on to the deletion if that is due.
func (r *Reconciler) report(ctx context.Context, observed plan.Observation, results *resultstore.Stored) (ctrl.Result, error) {
	job := observed.Job
	if err := sendOutcome(ctx, r.Events, observed, results); err != nil {
		return ctrl.Result{}, err
	}
	job, err := r.change(ctx, job, plan.Report(observed, results.Name, results.CaptureValue()))
	if err != nil {
		return ctrl.Result{}, err
	}
	warnOfMadeAgain(ctx, r.Events, observed, results.CaptureValue())
	r.counts().release(observed.Job, job, plan.ReleasedStored)
	r.Ledger.WroteTTL(observed.Job, job, r.Clock.Now())
	r.Ledger.GaveTTL(observed.Job, job)
	r.counts().stored(observed, results)
	r.Ledger.Reported(job, r.Clock.Now())
	r.PodLogs.Stored(job.UID)
	r.AtWork.Forgive(job.UID)
	r.explained.forget(job.UID)
	if job.DeletionTimestamp != nil && len(job.Finalizers) == 0 {
		r.forget(job.UID)
	}
	ctrl.LoggerFrom(ctx).Info("results stored", "status", job.Annotations[api.StatusAnnotation],
		"results", results.Name, "capture", results.CaptureValue())
	observed.Job, observed.Unstored = job, false
	if plan.Decide(observed, r.Clock.Now()).Action == plan.Delete {
		return r.remove(ctx, job)
	}
	r.PodLogs.RemoveSaved(ctx, job)
	return ctrl.Result{}, nil
}

func sendOutcome(ctx context.Context, recorder *events.Recorder, observed plan.Observation, results *resultstore.Stored) error {
	outcome := jobstatus.Of(observed.Job)
	fate := plan.FateOf(observed, outcome, results.CaptureValue())
	notice := events.Notice{Action: api.ActionStore, Class: "outcome"}
	if outcome.Phase == jobstatus.Completed {
		notice.Type = corev1.EventTypeNormal
		notice.Note = fmt.Sprintf("Job completed; results stored in %s; %s", results, fate.Why)
	} else {
		notice.Type = corev1.EventTypeWarning
		notice.Note = fmt.Sprintf("Job failed (%s); results stored in %s; %s", reason(outcome, results.Explanation), results, fate.Why)
	}
	if err := recorder.Send(ctx, observed.Job, notice); err != nil || results.Capture.Complete {
		return err
	}
	return recorder.Send(ctx, observed.Job, events.Notice{
		Type: corev1.EventTypeWarning, Action: api.ActionStore, Class: "capture",
		Note: fmt.Sprintf("The logs in %s are incomplete: %s", results, results.Capture.Why),
	})
}

// reason says why the Job failed: by its condition, and by the explanation, which quotes
// only names and Kubernetes' own words.
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
