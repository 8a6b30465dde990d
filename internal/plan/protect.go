package plan

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/policy"
)

// Released is why our finalizer is taken away from a Job. The values are those
// of the label reason of the metric.
type Released string

const (
	// NotReleased says that it stays, or is not there.
	NotReleased Released = ""
	// ReleasedStored says that the results are stored.
	ReleasedStored Released = "stored"
	// ReleasedUnfinished says that the Job was deleted before it finished. It is
	// nobody's finished run: there are no results to wait for.
	ReleasedUnfinished Released = "unfinished"
	// ReleasedOptedOut says that the Job is not handled any more.
	ReleasedOptedOut Released = "opted-out"
	// ReleasedNamespace says that the Namespace terminates, so that nothing can
	// be stored in it.
	ReleasedNamespace Released = "namespace"
	// ReleasedWithdrawn says that nobody wants it any more.
	ReleasedWithdrawn Released = "withdrawn"
	// ReleasedDeadline says that a deletion was held up for as long as it may
	// be. What was to be stored is lost.
	ReleasedDeadline Released = "deadline"
)

// MayNeedHistory reports whether Observation.HistoryDeletes could make a
// difference: only then is the CronJob worth a request.
func MayNeedHistory(o Observation) bool {
	_, child := CronJobOf(o.Job)
	unstored := o.Unstored || !jobstatus.Of(o.Job).Finished() || !Stored(o.Job)
	return child && unstored && o.Job.DeletionTimestamp == nil && !o.NamespaceTerminating &&
		!o.Policy.Protect.Wanted && !o.Policy.Protect.Asked() && !policy.Protected(o.Job)
}

// protects reports whether our finalizer should be on the Job while its results
// are not stored. A CronJob's Job keeps one that it has without being asked for:
// its CronJob may have gone, or have changed, since.
func protects(o Observation) bool {
	switch {
	case o.NamespaceTerminating:
		return false
	case o.Policy.Protect.Wanted, o.Policy.Protect.Asked():
		return o.Policy.Protect.Wanted
	default:
		_, child := CronJobOf(o.Job)
		return child && (o.HistoryDeletes || policy.Protected(o.Job))
	}
}

// letsGo returns why our finalizer goes from the Job although its results are
// not stored.
func letsGo(o Observation, outcome jobstatus.Outcome) Released {
	switch {
	case !policy.Protected(o.Job):
		return NotReleased
	case o.NamespaceTerminating:
		return ReleasedNamespace
	case !protects(o):
		return ReleasedWithdrawn
	case o.Job.DeletionTimestamp != nil && !outcome.Finished():
		return ReleasedUnfinished
	default:
		return NotReleased
	}
}

// letGo is the decision to take our finalizer away at once and do nothing else
// with the Job, which goes.
func letGo(o Observation, why Released) Decision {
	return Decision{Action: Change, Desired: Unprotect(o.Job), Released: why, Why: "released: " + string(why)}
}

// Unprotect returns the Job without our finalizer, nil where it has none.
func Unprotect(job *batchv1.Job) *batchv1.Job {
	desired := job.DeepCopy()
	if !policy.Protect(desired, false) {
		return nil
	}
	return desired
}

// HeldUntil returns until when our finalizer may hold up the deletion of the
// Job, and false if it holds none up.
func HeldUntil(job *batchv1.Job, deadline time.Duration) (until time.Time, held bool) {
	if job.DeletionTimestamp == nil || !policy.Protected(job) {
		return time.Time{}, false
	}
	return job.DeletionTimestamp.Add(deadline), true
}

// overdue reports whether a deletion was held up for as long as it may be.
func overdue(o Observation, now time.Time) bool {
	until, held := HeldUntil(o.Job, o.ProtectDeadline)
	return held && !now.Before(until)
}

// keep returns the finished, unstored Job with what keeps it until its results
// are stored, the TTL far enough ahead and the finalizer if it is wanted, or nil
// where that is so.
func keep(o Observation, outcome jobstatus.Outcome, now time.Time) *batchv1.Job {
	desired := hold(o, outcome, now)
	protected := protects(o)
	if desired != nil {
		policy.Protect(desired, protected)
		return desired
	}
	desired = o.Job.DeepCopy()
	if !policy.Protect(desired, protected) {
		return nil
	}
	return desired
}
