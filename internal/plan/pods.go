package plan

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/job-handler/job-handler/internal/jobstatus"
)

// Owns reports whether a pod is one of the Job's: its controller is the Job with
// this UID. Labels alone prove nothing, anybody may set them. known says that the pod
// was seen under this controller before.
//
// A Job that is deleted with the propagation policy Orphan loses its pods while a
// finalizer holds it: the garbage collector takes the controller from them. Of a Job
// that is being deleted, pods without a controller are its own if they are known, or
// if they have the label with the Job's UID and were created before it finished: the
// Job controller adopts any such pod while the Job runs, so that another one's pod
// with that label is the Job's by Kubernetes' own rules.
func Owns(job *batchv1.Job, pod metav1.Object, known bool) bool {
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
		return owner.UID == job.UID
	}
	if job.DeletionTimestamp == nil {
		return false
	}
	if known {
		return true
	}
	created := pod.GetCreationTimestamp()
	return pod.GetLabels()[batchv1.ControllerUidLabel] == string(job.UID) && !created.After(jobstatus.Of(job).FinishTime)
}

// Missing says how many of the pods that a finished Job's status counts are not
// among those that are known. The zero value: none.
type Missing struct {
	// Pods is how many are missing for certain.
	Pods int
	// Perhaps is how many more may be missing: of some known pods it cannot be told
	// whether the status counts them.
	Perhaps int
}

// None reports whether every pod that the status counts is known for certain.
func (m Missing) None() bool { return m == Missing{} }

// MissingPods compares the pods that are known of a finished Job with those that its
// status counts. It never takes one pod for another: a failure does not make up for a
// success, nor a pod of one completion index for that of another, nor one that the
// status does not count for one that it does. A pod may be listed more than once, as
// it was seen at different times.
//
// It cannot be told, and counts as Perhaps, whether the status counts
//   - a pod that was deleted, if the Job's spec changed and the pod was not seen with
//     the Job controller's finalizer as its deletion began;
//   - a pod that was deleted as the success policy ended the Job, or with a Job that was
//     deleted before it finished;
//   - a failed pod under a podFailurePolicy with Ignore rules, if the pod was deleted or
//     a rule asks for a condition other than DisruptionTarget.
//
// Two cases are not told apart from others: a finalizer of the Job controller that
// another program removes from a running pod, and completions that are lowered and
// later raised again.
func MissingPods(job *batchv1.Job, pods []*corev1.Pod) Missing {
	rules := countingOf(job)
	t := tally{indexed: rules.indexed, bins: map[int]*bin{}, failedIndexes: sets.Set[int]{}}
	uncounted := uncountedPods(job)
	seen := merge(pods)
	for _, pod := range seen {
		if i := slices.Index(uncounted, pod.UID); i >= 0 {
			uncounted = slices.Delete(uncounted, i, i+1)
			continue
		}
		t.add(rules.partOf(pod.Pod, pod.tracked))
	}
	missing := t.missing(job)
	missing.Pods += len(uncounted)
	return missing
}

// uncountedPods returns the pods that the status names and does not count yet. A
// finished Job has none by the rules of the API server.
func uncountedPods(job *batchv1.Job) []types.UID {
	uncounted := job.Status.UncountedTerminatedPods
	if uncounted == nil {
		return nil
	}
	return slices.Concat(uncounted.Succeeded, uncounted.Failed)
}

// bin counts the pods that may count as the success of one completion index or, of a
// Job that is not Indexed, as a success.
type bin struct {
	// succeeded are those that count as that for certain, maybe those that do if the
	// status counts them.
	succeeded, maybe int
	// either are those that count as that or as a failure, open those of which it cannot
	// be told whether the status counts them at all.
	either, open int
}

// tally sums up how the status may count pods.
type tally struct {
	indexed bool
	bins    map[int]*bin
	// failed are those that count as failed for certain, maybeFailed those that do if
	// the status counts them.
	failed, maybeFailed int
	// failedIndexes are the indexes of pods that may count as failed.
	failedIndexes sets.Set[int]
}

func (t *tally) add(may part) {
	if may.failed && t.indexed {
		t.failedIndexes.Insert(may.index)
	}
	switch {
	case may.succeeded:
		t.addSuccess(may)
	case may.failed && may.neither:
		t.maybeFailed++
	case may.failed:
		t.failed++
	}
}

// addSuccess adds a pod that may count as succeeded.
func (t *tally) addSuccess(may part) {
	b := t.bins[may.index]
	if b == nil {
		b = &bin{}
		t.bins[may.index] = b
	}
	switch {
	case may.failed && may.neither:
		b.open++
	case may.failed:
		b.either++
	case may.neither:
		b.maybe++
	default:
		b.succeeded++
	}
}

// missing compares the tally with what the status counts.
func (t *tally) missing(job *batchv1.Job) Missing {
	succeeded, failed := max(0, int(job.Status.Succeeded)), max(0, int(job.Status.Failed))
	least := t.least(succeeded, failed, t.failedIndexesWithout(job))
	return Missing{Pods: least, Perhaps: max(0, t.most(succeeded, failed)-least)}
}

// least returns how many counted pods are missing if as many of the known ones as
// possible are counted.
func (t *tally) least(succeeded, failed, failedIndexes int) int {
	successes, failures := 0, t.failed+t.maybeFailed
	for _, b := range t.bins {
		room := succeeded
		if t.indexed {
			room = 1
		}
		certain := min(room, b.succeeded+b.maybe)
		either := min(room-certain, b.either+b.open)
		successes += certain + either
		failures += b.either + b.open - either
	}
	return max(0, succeeded-successes) + min(failed, max(failed-failures, failedIndexes))
}

// most returns how many are missing if only those are counted that are for certain. Of
// two pods of one index one is the success: the controller makes another pod for an
// index only once it counted the one before as failed. Where the certain ones are more than the status counts, it follows other rules than the Job
// controller's, and they prove nothing.
func (t *tally) most(succeeded, failed int) int {
	successes, either, failures := 0, 0, t.failed
	for _, b := range t.bins {
		certain := b.succeeded
		if t.indexed {
			certain = min(1, certain)
		}
		successes += certain
		either += b.either
	}
	if successes > succeeded {
		successes = 0
	}
	if failures > failed {
		failures = 0
	}
	if successes+failures+either > succeeded+failed {
		either = 0
	}
	return succeeded + failed - successes - failures - either
}

// failedIndexesWithout returns how many indexes failed, by the status of a Job with
// backoffLimitPerIndex, without a known pod that may be the failed one.
func (t *tally) failedIndexesWithout(job *batchv1.Job) int {
	if !t.indexed || job.Status.FailedIndexes == nil {
		return 0
	}
	failed := parseIndexes(*job.Status.FailedIndexes)
	without := failed.count(max(0, int(job.Status.Failed)))
	for index := range t.failedIndexes {
		if failed.has(index) {
			without--
		}
	}
	return max(0, without)
}
