package job

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

// ttlFight is what this process remembers of a Job whose TTL it writes.
type ttlFight struct {
	// wrote is the TTL that this process wrote last, nil for none; meaningless if
	// nothing was.
	wrote     *int32
	written   bool
	corrected corrections
	// yielded is when the TTL was left to the Job's own controller.
	yielded time.Time
}

// leaveTTL reports whether the Job's TTL is left as another writer set it. A
// controller that owns the Job and took a raised TTL back is known to insist.
func (r *runs) leaveTTL(job *batchv1.Job, now time.Time) bool {
	insists := policy.OtherController(job) && policy.RecordIsVoid(job)
	r.mu.Lock()
	defer r.mu.Unlock()
	run := r.byID[job.UID]
	if run == nil && !insists {
		return false
	}
	fight := &r.get(job.UID).ttl
	if insists {
		fight.yielded = now
	}
	return fight.corrected.left(now) > 0 || !fight.yielded.IsZero() && now.Sub(fight.yielded) < correctionWindow
}

// wroteTTL notes that this process changed the Job's TTL, and counts that as a
// correction if another client had changed it since the last time.
func (r *runs) wroteTTL(from, to *batchv1.Job, now time.Time) {
	before, after := from.Spec.TTLSecondsAfterFinished, to.Spec.TTLSecondsAfterFinished
	if ptr.Equal(before, after) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	fight := &r.get(from.UID).ttl
	if fight.written && !ptr.Equal(before, fight.wrote) {
		fight.corrected = fight.corrected.and(now)
	}
	fight.wrote, fight.written = after, true
}

// warnOfTTL warns of a TTL that is left short, and what is lost if it wins.
func (r *Reconciler) warnOfTTL(ctx context.Context, observed plan.Observation) {
	job := observed.Job
	if !observed.LeaveTTL || plan.Stored(job) || policy.RaisedTTL(job, r.Options.TTLFloor, r.Options.Defaults.LeftAlone) == nil {
		return
	}
	r.warn(ctx, job, "ttl", fmt.Sprintf(
		"Another client keeps setting ttlSecondsAfterFinished to %d, below the floor of %s, so it is left there: "+
			"if Kubernetes deletes the Job before its results are stored, they and the logs are lost",
		*job.Spec.TTLSecondsAfterFinished, r.Options.TTLFloor))
}
