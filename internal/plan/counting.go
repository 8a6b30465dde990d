package plan

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/job-handler/job-handler/internal/jobstatus"
)

// counting is how the Job controller counted the pods of a finished Job, as far as
// the Job tells. Each pod carries a finalizer of the controller's,
// batch.kubernetes.io/job-tracking, until it is counted. The controller counts a pod
// that has ended or, unless podReplacementPolicy says otherwise, one that is being
// deleted. Some pods lose the finalizer without being counted.
type counting struct {
	indexed bool
	// completions bounds the indexes of an Indexed Job.
	completions int
	// completed are the indexes of which a pod succeeded; nil if they are not told.
	completed indexes

	failureRules []batchv1.PodFailurePolicyRule
	// ignores is true if one of the failureRules ignores pods.
	ignores bool
	// awaitsEnd is true if pods that are deleted were counted only once they had ended.
	awaitsEnd bool
	// drops is true if pods may have been deleted without being counted, because the
	// Job was suspended or its parallelism or completions were lowered: each is a change
	// of its spec. The controller removes the finalizer of such a pod before it deletes it.
	drops bool
	// cutShort is true if the success policy ended the Job, or if the Job was deleted
	// before it finished: the controller may count the pods that are deleted then, or not.
	cutShort bool
}

func countingOf(job *batchv1.Job) *counting {
	outcome := jobstatus.Of(job)
	c := &counting{
		indexed:     ptr.Deref(job.Spec.CompletionMode, batchv1.NonIndexedCompletion) == batchv1.IndexedCompletion,
		completions: int(ptr.Deref(job.Spec.Completions, 0)),
		ignores:     Ignores(job),
		awaitsEnd:   outcome.Phase == jobstatus.Completed && ptr.Deref(job.Spec.PodReplacementPolicy, "") == batchv1.Failed,
		drops:       specChanged(job),
		cutShort: outcome.Reason == batchv1.JobReasonSuccessPolicy ||
			job.DeletionTimestamp != nil && job.DeletionTimestamp.Time.Before(outcome.FinishTime),
	}
	if c.indexed {
		c.completed = parseIndexes(job.Status.CompletedIndexes)
	}
	if c.indexed && c.completed == nil && job.Status.Succeeded == 0 {
		c.completed = indexes{}
	}
	if c.ignores {
		c.failureRules = job.Spec.PodFailurePolicy.Rules
	}
	return c
}

// specChanged reports whether the Job's spec was ever changed. The API server counts
// that in the generation, and the Job's deletion too.
func specChanged(job *batchv1.Job) bool {
	unchanged := int64(1)
	if job.DeletionTimestamp != nil {
		unchanged++
	}
	return job.Generation > unchanged
}

// part is how a Job's status may count a pod. More than one may be true: then it
// cannot be told which of them is.
type part struct {
	succeeded, failed bool
	// neither is true if the status may not count it.
	neither bool
	// index is the completion index for which it counts; 0 in a Job that is not Indexed.
	index int
}

// partOf returns how the status may count a pod that looked like this when it was
// seen last. tracked says that it was seen with a deletionTimestamp and with the
// controller's finalizer: then it was deleted before the controller had done with it.
func (c *counting) partOf(pod *corev1.Pod, tracked bool) part {
	var may part
	leaving := pod.DeletionTimestamp != nil
	switch pod.Status.Phase {
	case corev1.PodSucceeded:
		// The controller may have counted it as failed when it began to be deleted.
		may.succeeded, may.failed = true, leaving
	case corev1.PodFailed:
		may.failed = true
	default:
		may.succeeded, may.failed = true, true
		may.neither = !leaving && (c.drops || c.cutShort)
	}
	may.neither = may.neither || leaving && (c.cutShort || c.drops && !tracked)
	if may.failed {
		may = c.unlessIgnored(pod, may)
	}
	if c.indexed {
		may = c.within(pod, may)
	}
	return may
}

// unlessIgnored returns what is left of may where failures may be ignored.
func (c *counting) unlessIgnored(pod *corev1.Pod, may part) part {
	switch c.ignored(pod) {
	case yes:
		may.failed, may.neither = false, true
	case untold:
		may.neither = true
	case no:
	}
	return may
}

// within returns what is left of may for a pod of an Indexed Job. A pod without an
// index is not counted, nor is a success for an index that is not completed. A
// failure for an index beyond completions is, if these were lowered later.
func (c *counting) within(pod *corev1.Pod, may part) part {
	index, has := indexOf(pod)
	if !has {
		return part{neither: true}
	}
	may.index = index
	if c.completed != nil && !c.completed.has(index) {
		may.succeeded = false
	}
	if index >= c.completions {
		may.succeeded, may.neither = false, true
	}
	may.neither = may.neither || !may.succeeded && !may.failed
	return may
}

// seenPod is a pod as it was seen, perhaps more than once.
type seenPod struct {
	*corev1.Pod
	// tracked is as partOf says.
	tracked bool
}

// merge returns each pod once, in the state that tells most.
func merge(pods []*corev1.Pod) []seenPod {
	merged := make([]seenPod, 0, len(pods))
	places := make(map[types.UID]int, len(pods))
	for _, pod := range pods {
		tracked := pod.DeletionTimestamp != nil && slices.Contains(pod.Finalizers, batchv1.JobTrackingFinalizer)
		place, again := places[pod.UID]
		if !again {
			places[pod.UID] = len(merged)
			merged = append(merged, seenPod{Pod: pod, tracked: tracked})
			continue
		}
		seen := &merged[place]
		seen.tracked = seen.tracked || tracked
		if tells(pod) > tells(seen.Pod) {
			seen.Pod = pod
		}
	}
	return merged
}

// tells orders the states of a pod by how much they tell of how it was counted. Most
// does the state of a pod that has ended and is not being deleted: no such pod is
// deleted without being counted.
func tells(pod *corev1.Pod) int {
	ended := jobstatus.PodEnded(pod)
	leaving := pod.DeletionTimestamp != nil
	switch {
	case ended && !leaving:
		return 3
	case ended:
		return 2
	case leaving:
		return 1
	default:
		return 0
	}
}
