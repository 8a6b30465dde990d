package job

import (
	"context"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/api"
)

// givesLabel reports whether desired has the label that job lacks.
func givesLabel(job, desired *batchv1.Job) bool {
	return job.Labels[api.EnabledLabel] != api.True && desired.Labels[api.EnabledLabel] == api.True
}

// warnOfLabel warns of a label that is left off, and what is lost meanwhile.
func (r *Reconciler) warnOfLabel(ctx context.Context, job *batchv1.Job) {
	r.Events.TryWarn(ctx, job, "label", "Another client keeps removing the label "+api.EnabledLabel+", so it is left off for up to an hour: "+
		"until the Job has it again, its results and logs are not stored, and if the Job is deleted before, they are lost. "+
		"To opt the Job out, set the label to "+api.False)
}
