package job

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

// warnOfTTL warns that another client keeps the TTL too short, and what may be lost.
func warnOfTTL(ctx context.Context, recorder *events.Recorder, leftAlone policy.LeftAlone, observed plan.Observation) {
	job := observed.Job
	if !observed.LeaveTTL || plan.Stored(job) || policy.RaisedTTL(job, observed.TTLFloor, leftAlone) == nil {
		return
	}
	recorder.TryWarn(ctx, job, "ttl", fmt.Sprintf(
		"Another client keeps setting ttlSecondsAfterFinished to %d, below the floor of %s, so the manager leaves it there: "+
			"if Kubernetes deletes the Job before its results are stored, they and the logs are lost",
		*job.Spec.TTLSecondsAfterFinished, observed.TTLFloor))
}

// warnOfLabel warns that another client keeps removing the label, and what may be lost.
func warnOfLabel(ctx context.Context, recorder *events.Recorder, job *batchv1.Job) {
	recorder.TryWarn(ctx, job, "label", "Another client keeps removing the label "+api.EnabledLabel+", so the manager does not restore it for up to an hour. "+
		"Until then the results and logs of the Job are not stored; if the Job is deleted before, they are lost. "+
		"To opt the Job out, set the label to "+api.False)
}

// warnOfMadeAgain warns that a Job is kept only because another client recreates it.
func warnOfMadeAgain(ctx context.Context, recorder *events.Recorder, observed plan.Observation, capture string) {
	if !observed.MadeAgain {
		return
	}
	outcome := jobstatus.Of(observed.Job)
	otherwise := observed
	otherwise.MadeAgain = false
	fate, without := plan.FateOf(observed, outcome, capture), plan.FateOf(otherwise, outcome, capture)
	if fate.DeleteNow || fate.TTL != nil || !without.DeleteNow && without.TTL == nil {
		return
	}
	recorder.TryWarn(ctx, observed.Job, "made-again", fmt.Sprintf(
		"Another client recreates this Job after each deletion, and it runs again each time, so the manager keeps it. "+
			"To delete it anyway, set %s on the Job", api.DeleteAfterSuccessAnnotation))
}
