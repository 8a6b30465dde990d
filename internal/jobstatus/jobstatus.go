// Package jobstatus decides from a Job's status whether and how it ended. It is pure
// and must not import a client.
package jobstatus

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/api"
)

// Phase is where a Job stands.
type Phase string

const (
	// Running covers every Job that has not ended and is not suspended,
	// whether or not a pod of it exists.
	Running Phase = "Running"
	// Suspended is an unfinished Job whose spec.suspend is true.
	Suspended Phase = "Suspended"
	// Completed is a Job whose condition Complete is True.
	Completed Phase = "Completed"
	// Failed is a Job whose condition Failed is True.
	Failed Phase = "Failed"
)

// Outcome tells whether and how a Job ended. FinishTime, Reason and Message
// are empty while it has not.
type Outcome struct {
	Phase      Phase
	FinishTime time.Time
	// Reason and Message come from the terminal condition.
	Reason, Message string
}

// Finished reports whether the Job reached a terminal condition. The criteria
// conditions SuccessCriteriaMet and FailureTarget come before pods ended, so
// they do not count; nor does a completionTime alone.
func (o Outcome) Finished() bool {
	return o.Phase == Completed || o.Phase == Failed
}

// Status returns the outcome as StatusCompleted or StatusFailed, and "" while
// the Job has not finished.
func (o Outcome) Status() string {
	switch o.Phase {
	case Completed:
		return api.StatusCompleted
	case Failed:
		return api.StatusFailed
	default:
		return ""
	}
}

// Of returns the outcome of job. If both terminal conditions are True, which
// the API server does not allow but another writer of status might bring
// about, the Job counts as failed and is kept.
func Of(job *batchv1.Job) Outcome {
	if failed := condition(job, batchv1.JobFailed); failed != nil {
		return Outcome{
			Phase: Failed, FinishTime: failed.LastTransitionTime.Time,
			Reason: failed.Reason, Message: failed.Message,
		}
	}
	if complete := condition(job, batchv1.JobComplete); complete != nil {
		finish := complete.LastTransitionTime.Time
		if job.Status.CompletionTime != nil {
			finish = job.Status.CompletionTime.Time
		}
		return Outcome{
			Phase: Completed, FinishTime: finish,
			Reason: complete.Reason, Message: complete.Message,
		}
	}
	if job.Spec.Suspend != nil && *job.Spec.Suspend {
		return Outcome{Phase: Suspended}
	}
	return Outcome{Phase: Running}
}

// Duration returns how long the Job ran, and false if it has not both started
// and finished.
func Duration(job *batchv1.Job, outcome Outcome) (time.Duration, bool) {
	if job.Status.StartTime == nil || outcome.FinishTime.IsZero() {
		return 0, false
	}
	return max(0, outcome.FinishTime.Sub(job.Status.StartTime.Time)), true
}

func condition(job *batchv1.Job, kind batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		c := &job.Status.Conditions[i]
		if c.Type == kind && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}
