package job

import (
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/clock"

	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/ledger"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/resultstore"
)

// counts tells metrics what becomes of Jobs. Nothing that it does can fail.
type counts struct {
	jobs       *metrics.Jobs
	protection *metrics.Protection
	ledger     *ledger.Ledger
	clock      clock.PassiveClock
}

func (r *Reconciler) counts() counts {
	return counts{jobs: r.Jobs, protection: r.Protection, ledger: r.Ledger, clock: r.Clock}
}

// stored counts a run that is stored and told of, once: a report that was
// answered too late to be heard of is sent again.
func (c counts) stored(observed plan.Observation, results *resultstore.Stored) {
	if !c.ledger.Count(observed.Job.UID) {
		return
	}
	outcome := jobstatus.Of(observed.Job)
	run := &metrics.Run{
		Outcome: outcome.Status(), Capture: metrics.CaptureComplete, Took: c.clock.Since(outcome.FinishTime), Bytes: results.Bytes,
		LogKept: results.Totals.KeptBytes, LogLeftOut: results.Totals.LeftOutBytes, Redactions: results.Totals.Redactions,
	}
	switch {
	case results.Capture.Retryable:
		run.Capture = metrics.CaptureKept
	case !results.Capture.Complete:
		run.Capture = metrics.CaptureIncomplete
	}
	c.jobs.Stored(run)
}

// deleted counts a Job that this process deleted.
func (c counts) deleted(job *batchv1.Job) {
	outcome := jobstatus.Of(job)
	c.jobs.Deleted(outcome.Status(), c.clock.Since(outcome.FinishTime))
}

// held counts the Job if its deletion is held up by our finalizer.
func (c counts) held(job *batchv1.Job) {
	held := job.DeletionTimestamp != nil && policy.Protected(job)
	c.protection.SetHeld(c.ledger.SetHeld(job.UID, held))
}

// release counts a change by which a Job lost our finalizer, and ignores any
// other.
func (c counts) release(from, to *batchv1.Job, why plan.Released) {
	if policy.Protected(from) && !policy.Protected(to) {
		c.protection.Released(why)
		c.protection.SetHeld(c.ledger.SetHeld(from.UID, false))
	}
}
