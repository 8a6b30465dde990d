package job

import (
	"context"
	"fmt"

	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

// warnOfTTL warns of a TTL that is left short, and what is lost if it wins.
func (r *Reconciler) warnOfTTL(ctx context.Context, observed plan.Observation) {
	job := observed.Job
	if !observed.LeaveTTL || plan.Stored(job) || policy.RaisedTTL(job, r.Options.TTLFloor, r.Options.Defaults.LeftAlone) == nil {
		return
	}
	r.Events.TryWarn(ctx, job, "ttl", fmt.Sprintf(
		"Another client keeps setting ttlSecondsAfterFinished to %d, below the floor of %s, so it is left there: "+
			"if Kubernetes deletes the Job before its results are stored, they and the logs are lost",
		*job.Spec.TTLSecondsAfterFinished, r.Options.TTLFloor))
}
