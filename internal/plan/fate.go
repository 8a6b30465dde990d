package plan

import (
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/policy"
)

// Fate is what becomes of a Job whose results are stored.
type Fate struct {
	// DeleteNow is true if we delete the Job ourselves, at once.
	DeleteNow bool
	// TTL is the spec.ttlSecondsAfterFinished by which Kubernetes deletes the
	// Job later, nil for never. Without meaning where DeleteNow is true.
	TTL *int32
	// Why says in words what happens to the Job, for Events and logs.
	Why string
}

// FateOf returns what becomes of the observed Job with this outcome and value of
// the capture annotation. A Job whose logs could not be read for a cause that might
// heal is kept, with its pods, unless the Job's own annotation delete-after-failure
// says otherwise: no TTL takes it away.
func FateOf(o Observation, outcome jobstatus.Outcome, capture string) Fate {
	job, setting := o.Job, o.Policy.DeleteAfterSuccess
	kept := strings.HasPrefix(capture, api.CaptureKeptPrefix)
	if outcome.Phase == jobstatus.Failed || kept {
		setting = o.Policy.DeleteAfterFailure
	}
	ownership := ownershipIn(o, kept)
	if !ownership.Ours && setting.Source != policy.SourceJob {
		return Fate{TTL: policy.OwnTTL(job), Why: "the Job is left alone: " + ownership.Why}
	}
	switch {
	case kept && setting.Source != policy.SourceJob:
		return Fate{TTL: laterTTL(job), Why: "the Job is kept for its logs"}
	case setting.Never:
		return Fate{Why: "the Job is kept"}
	case setting.After == 0:
		return Fate{DeleteNow: true, Why: "the Job is deleted now"}
	default:
		return Fate{
			TTL: new(sumSeconds(setting.After, 0)),
			Why: fmt.Sprintf("the Job is deleted %s after its end", setting.Delay),
		}
	}
}

// ownershipIn returns whether the observed Job is ours to delete. One that is kept for
// its logs is not deleted at once anyway.
func ownershipIn(o Observation, kept bool) Ownership {
	ownership := OwnershipOf(o.Job, o.Policy.LeftAlone)
	if ownership.Ours && o.MadeAgain && !kept {
		return Ownership{Why: "another client recreates it after each deletion"}
	}
	return ownership
}

// laterTTL returns the TTL that a user gave the Job after its results were
// stored, nil before.
func laterTTL(job *batchv1.Job) *int32 {
	if policy.Raised(job) || !Stored(job) {
		return nil
	}
	return job.Spec.TTLSecondsAfterFinished
}

// apply brings the Job's TTL to its fate and reports whether it changed
// something. A Job that we delete ourselves keeps its raised TTL, so that
// the TTL controller does not delete it in the foreground meanwhile.
func (f Fate) apply(job *batchv1.Job) bool {
	if f.DeleteNow {
		return false
	}
	_, raised := job.Annotations[api.TTLAnnotation]
	if !raised && ptr.Equal(job.Spec.TTLSecondsAfterFinished, f.TTL) {
		return false
	}
	delete(job.Annotations, api.TTLAnnotation)
	job.Spec.TTLSecondsAfterFinished = f.TTL
	return true
}

// hold returns the finished, unstored Job with a TTL that is far enough ahead and a
// record that is right, or nil where it has both. GitOps-tracked Jobs are not
// touched: their controller would set the TTL back again and again.
func hold(o Observation, outcome jobstatus.Outcome, now time.Time) *batchv1.Job {
	if _, tracked := policy.Tracked(o.Job, o.Policy.LeftAlone); tracked || o.Job.DeletionTimestamp != nil {
		return nil
	}
	raised, due := heldTTL(o, max(0, now.Sub(outcome.FinishTime)))
	if !due && !policy.RecordIsVoid(o.Job) {
		return nil
	}
	desired := o.Job.DeepCopy()
	policy.DropVoidRecord(desired)
	if due {
		policy.RaiseTTL(desired, raised)
	}
	return desired
}

// heldTTL returns the TTL that holds the Job for a floor from now on, and whether
// that is due: less than half a floor is left.
func heldTTL(o Observation, elapsed time.Duration) (raised int32, due bool) {
	present := o.Job.Spec.TTLSecondsAfterFinished
	if present == nil || *present < 0 || leavesTTL(o) || time.Duration(*present)*time.Second-elapsed >= o.TTLFloor/2 {
		return 0, false
	}
	raised = sumSeconds(elapsed, o.TTLFloor)
	return raised, raised > *present
}

// leavesTTL reports whether the Job's TTL is that of another writer, which is left
// to it.
func leavesTTL(o Observation) bool { return o.LeaveTTL && !policy.Raised(o.Job) }

// Holds reports whether something of ours keeps the Job: a raised TTL or our
// finalizer. It needs no more than the Job's metadata.
func Holds(job metav1.Object) bool {
	_, raised := job.GetAnnotations()[api.TTLAnnotation]
	return raised || policy.Protected(job)
}

// Release returns the Job with its own TTL put back and without our finalizer,
// or nil where we hold nothing. It is for Jobs that are not opted in any more.
func Release(job *batchv1.Job) *batchv1.Job {
	if !Holds(job) {
		return nil
	}
	desired := job.DeepCopy()
	if _, raised := job.Annotations[api.TTLAnnotation]; raised {
		policy.PutBackTTL(desired)
	}
	policy.Protect(desired, false)
	return desired
}

// sumSeconds rounds the sum up to whole seconds and stays within a TTL's
// int32, however long ago an end without a time seems to be.
func sumSeconds(a, b time.Duration) int32 {
	sum := min(a, policy.LongestDelay) + min(b, policy.LongestDelay)
	return int32(min(policy.LongestDelay, sum+time.Second-1) / time.Second) //nolint:gosec // LongestDelay is an int32 of seconds
}
