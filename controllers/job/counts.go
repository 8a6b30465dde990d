package job

import (
	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/plan"
)

// countStored counts a run that is stored and told of, once: a report that was
// answered too late to be heard of is sent again.
func (r *Reconciler) countStored(observed plan.Observation, results stored) {
	if !r.Ledger.Count(observed.Job.UID) {
		return
	}
	outcome := jobstatus.Of(observed.Job)
	run := &metrics.Run{
		Outcome: outcome.Status(), Capture: metrics.CaptureComplete, Took: r.Clock.Since(outcome.FinishTime), Bytes: results.bytes,
		LogKept: results.totals.KeptBytes, LogLeftOut: results.totals.LeftOutBytes, Redactions: results.totals.Redactions,
	}
	switch {
	case results.capture.Curable:
		run.Capture = metrics.CaptureKept
	case !results.capture.Complete:
		run.Capture = metrics.CaptureIncomplete
	}
	r.Jobs.Stored(run)
}

// countDeleted counts a Job that this process deleted.
func (r *Reconciler) countDeleted(job *batchv1.Job) {
	outcome := jobstatus.Of(job)
	r.Jobs.Deleted(outcome.Status(), r.Clock.Since(outcome.FinishTime))
}

// Backlog returns how many Jobs are to be stored, and for how long the oldest of them has
// been finished.
func (r *Reconciler) Backlog() metrics.Backlog {
	jobs, oldest := r.Ledger.Backlog(r.Clock.Now())
	return metrics.Backlog{Jobs: jobs, Oldest: oldest}
}
