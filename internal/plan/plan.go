// Package plan decides what the manager does with a Job: nothing, change it, store
// its results, or delete it. Every rule is here, and every function is pure: facts
// come in as an Observation, the time as an argument. The package must not import a
// client; controllers/job observes and acts.
package plan

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/policy"
)

// Action is what to do next with a Job.
type Action string

const (
	// Leave changes nothing; a watch tells when there is more to do.
	Leave Action = "Leave"
	// Wait changes nothing and looks again after the re-check interval.
	Wait Action = "Wait"
	// Change brings the Job to Decision.Desired.
	Change Action = "Change"
	// Store collects and stores the results of a finished Job. If
	// Decision.Desired is set, the Job is changed to it first.
	Store Action = "Store"
	// Delete deletes the Job now, after one more look at what is stored.
	Delete Action = "Delete"
)

// Observation is all that Decide looks at.
type Observation struct {
	Job    *batchv1.Job
	Policy policy.Policy
	// Unstored is true if this process knows that the results are not stored,
	// whatever the Job's status annotation claims.
	Unstored bool
	// TTLFloor is the shortest spec.ttlSecondsAfterFinished with which an
	// unstored Job is left.
	TTLFloor time.Duration
	// NamespaceTerminating is true if the Job's Namespace is being deleted.
	NamespaceTerminating bool
	// HistoryDeletes is what History.Deletes says of the Job and its CronJob;
	// false where there is none, or where it was not asked: see MayNeedHistory.
	HistoryDeletes bool
	// ProtectDeadline is for how long the deletion of a finished Job may be held
	// up.
	ProtectDeadline time.Duration
	// LeaveTTL is true if another writer has set the Job's TTL back so often that it
	// is not corrected for now.
	LeaveTTL bool
	// MadeAgain is true if Jobs of this name were created again and again soon after
	// this process deleted them.
	MadeAgain bool
}

// Decision is what to do, and why in a few words for a log at V(1).
type Decision struct {
	Action Action
	// Desired is the Job as it should be, nil where it should stay as it is.
	Desired *batchv1.Job
	// Released is why Desired lacks a finalizer of ours that the Job has.
	Released Released
	// Overdue is true where the results have to be stored, or found, now or never:
	// the Job's deletion was held up for as long as it may be.
	Overdue bool
	Why     string
}

// Decide returns what to do next with the observed Job at now.
func Decide(o Observation, now time.Time) Decision {
	decision := choose(o, now)
	if decision.Desired != nil {
		policy.LabelUID(decision.Desired)
	}
	return decision
}

func choose(o Observation, now time.Time) Decision {
	outcome := jobstatus.Of(o.Job)
	released := letsGo(o, outcome)
	deleting := o.Job.DeletionTimestamp != nil
	switch {
	case released != NotReleased && deleting:
		return letGo(o, released)
	case !outcome.Finished() && deleting:
		return Decision{Action: Leave, Why: "deleted before it finished"}
	case !outcome.Finished():
		return decideUnfinished(o, outcome, released)
	case o.Unstored || !Stored(o.Job):
		return Decision{
			Action: Store, Desired: keep(o, outcome, now), Released: released,
			Overdue: overdue(o, now), Why: "finished and not stored",
		}
	case deleting && policy.Protected(o.Job):
		decision := letGo(o, ReleasedStored)
		decision.Overdue = overdue(o, now)
		return decision
	case deleting:
		return Decision{Action: Leave, Why: "stored and already being deleted"}
	default:
		return decideStored(o, outcome)
	}
}

// Stored reports whether the Job says that its results are stored and its
// Event is sent. It is a claim: anybody who may edit the Job can write it, so
// nothing is deleted on its word alone.
func Stored(job *batchv1.Job) bool {
	return job.Annotations[api.StatusAnnotation] != ""
}

// TemplateMutable reports whether the labels of the Job's pod template can
// still be changed: the API server allows it for a suspended Job that never
// started.
func TemplateMutable(job *batchv1.Job) bool {
	return jobstatus.Of(job).Phase == jobstatus.Suspended && job.Status.StartTime == nil
}

func decideUnfinished(o Observation, outcome jobstatus.Outcome, released Released) Decision {
	desired := o.Job.DeepCopy()
	delete(desired.Annotations, api.StatusAnnotation)
	delete(desired.Annotations, api.CaptureAnnotation)
	changed := len(desired.Annotations) != len(o.Job.Annotations)
	changed = policy.Protect(desired, protects(o)) || changed
	floor := o.TTLFloor
	if leavesTTL(o) {
		floor = 0
	}
	if policy.Stamp(desired, floor, TemplateMutable(o.Job), o.Policy.LeftAlone) || changed {
		why := "a stamp is missing or a status is forged"
		if released != NotReleased {
			why = "released: " + string(released)
		}
		return Decision{Action: Change, Desired: desired, Released: released, Why: why}
	}
	if outcome.Phase == jobstatus.Suspended {
		return Decision{Action: Leave, Why: "suspended"}
	}
	return Decision{Action: Wait, Why: "running"}
}

func decideStored(o Observation, outcome jobstatus.Outcome) Decision {
	fate := FateOf(o, outcome, o.Job.Annotations[api.CaptureAnnotation])
	desired := o.Job.DeepCopy()
	changed := !leavesTTL(o) && fate.apply(desired)
	if policy.Protect(desired, false) {
		return Decision{Action: Change, Desired: desired, Released: ReleasedStored, Why: fate.Why}
	}
	if changed {
		return Decision{Action: Change, Desired: desired, Why: fate.Why}
	}
	if fate.DeleteNow {
		return Decision{Action: Delete, Why: fate.Why}
	}
	return Decision{Action: Leave, Why: fate.Why}
}

// Report returns the Job as it should be once its results are stored under
// resultsName and its Event is sent: the annotations that say so, no finalizer
// of ours, and the TTL that leaves the rest to Kubernetes.
func Report(o Observation, resultsName, capture string) *batchv1.Job {
	outcome := jobstatus.Of(o.Job)
	desired := o.Job.DeepCopy()
	setAnnotation(desired, api.StatusAnnotation, outcome.Status())
	setAnnotation(desired, api.ResultsNameAnnotation, resultsName)
	setAnnotation(desired, api.CaptureAnnotation, capture)
	if o.Policy.ResultsKind == api.ResultsKindSecret {
		setAnnotation(desired, api.ResultsKindAnnotation, api.ResultsKindSecret)
	}
	fate := FateOf(o, outcome, capture)
	fate.apply(desired)
	policy.Protect(desired, false)
	policy.LabelUID(desired)
	return desired
}

// ResultsKind returns the kind of object that holds the results of a stored
// Job, as Report wrote it: what its Namespace wants may be another one by now.
func ResultsKind(job *batchv1.Job) string {
	if job.Annotations[api.ResultsKindAnnotation] == api.ResultsKindSecret {
		return api.ResultsKindSecret
	}
	return api.ResultsKindConfigMap
}

func setAnnotation(job *batchv1.Job, key, value string) {
	if job.Annotations == nil {
		job.Annotations = map[string]string{}
	}
	job.Annotations[key] = value
}
