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

// counts tells metrics what becomes of Jobs. None of its methods can fail.
type counts struct {
	jobs       *metrics.Jobs
	protection *metrics.Protection
	ledger     *ledger.Ledger
	clock      clock.PassiveClock
}

func (r *Reconciler) counts() counts {
	return counts{jobs: r.Jobs, protection: r.Protection, ledger: r.Ledger, clock: r.Clock}
}

// stored counts a run whose results are stored and reported. It counts each run once: a
// report whose answer was lost is sent again.
func (c counts) stored(observed plan.Observation, results *resultstore.Stored) {
	if !c.ledger.Count(observed.Job.UID) {
		return
	}
	outcome := jobstatus.Of(observed.Job)
	c.jobs.Stored(&metrics.Run{
		Outcome: outcome.Status(), Logs: results.Capture.Completeness(),
		Took: c.clock.Since(outcome.FinishTime), Bytes: results.Bytes,
		LogKept: results.Totals.KeptBytes, LogLeftOut: results.Totals.LeftOutBytes, Redactions: results.Totals.Redactions,
	})
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
