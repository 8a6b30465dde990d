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

// warnOfTTL warns of a TTL that is left short, and what is lost if it wins.
func warnOfTTL(ctx context.Context, recorder *events.Recorder, leftAlone policy.LeftAlone, observed plan.Observation) {
	job := observed.Job
	if !observed.LeaveTTL || plan.Stored(job) || policy.RaisedTTL(job, observed.TTLFloor, leftAlone) == nil {
		return
	}
	recorder.TryWarn(ctx, job, "ttl", fmt.Sprintf(
		"Another client keeps setting ttlSecondsAfterFinished to %d, below the floor of %s, so it is left there: "+
			"if Kubernetes deletes the Job before its results are stored, they and the logs are lost",
		*job.Spec.TTLSecondsAfterFinished, observed.TTLFloor))
}

// warnOfLabel warns of a label that is left off, and what is lost meanwhile.
func warnOfLabel(ctx context.Context, recorder *events.Recorder, job *batchv1.Job) {
	recorder.TryWarn(ctx, job, "label", "Another client keeps removing the label "+api.EnabledLabel+", so it is left off for up to an hour: "+
		"until the Job has it again, its results and logs are not stored, and if the Job is deleted before, they are lost. "+
		"To opt the Job out, set the label to "+api.False)
}

// warnOfMadeAgain warns of a Job that is kept for no other cause than that another
// client makes it again.
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
		"Another client creates this Job again after each deletion, and it runs again each time, so it is kept. "+
			"To have it deleted all the same, set %s on the Job", api.DeleteAfterSuccessAnnotation))
}
