package plan

import (
	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/jobstatus"
)

// TookNote reports whether the CronJob controller has taken note that job
// ended, so that deleting the Job hides nothing from it: the Job is out of
// status.active and, for a success, status.lastSuccessfulTime is not before
// the Job's completion. Otherwise lastSuccessfulTime stalls, and alerts on it
// fire. A nil CronJob, or another one under the owner's name, has nothing to
// note: the owner is gone.
func TookNote(cronJob *batchv1.CronJob, job *batchv1.Job) bool {
	owner, owned := CronJobOf(job)
	if !owned || cronJob == nil || cronJob.UID != owner.UID {
		return true
	}
	for _, active := range cronJob.Status.Active {
		if active.UID == job.UID {
			return false
		}
	}
	outcome := jobstatus.Of(job)
	if outcome.Phase != jobstatus.Completed {
		return true
	}
	last := cronJob.Status.LastSuccessfulTime
	return last != nil && !last.Time.Before(outcome.FinishTime)
}
