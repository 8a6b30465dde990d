package job

import (
	"context"
	"fmt"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/plan"
)

// warnOfMadeAgain warns of a Job that is kept for no other cause than that another
// client makes it again.
func (r *Reconciler) warnOfMadeAgain(ctx context.Context, observed plan.Observation, capture string) {
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
	r.Events.TryWarn(ctx, observed.Job, "made-again", fmt.Sprintf(
		"Another client creates this Job again after each deletion, and it runs again each time, so it is kept. "+
			"To have it deleted all the same, set %s on the Job", api.DeleteAfterSuccessAnnotation))
}
