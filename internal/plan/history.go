package plan

import (
	"cmp"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/policy"
)

// mostSiblings is how many Jobs History.Siblings looks at for each way in which a Job
// may end. Others are looked at again when their time comes.
const mostSiblings = 100

// History is the Jobs of one CronJob in the order in which its history limits take
// them, so that HistoryDeletes needs no look at all of them. A change costs a binary
// search and a move within a slice, a question a binary search. It keeps some 200
// bytes of a Job. The zero value is empty; it is for one goroutine at a time.
type History struct {
	byUID map[types.UID]*historic
	// completed and failed are those that ended so, or may yet, the last started first.
	completed, failed []*historic
}

// historic is what a History knows of a Job.
type historic struct {
	key types.NamespacedName
	uid types.UID
	// waits is true while the Job has not started; start is the second in which it did.
	waits bool
	start int64
	// completes and fails are whether the Job ended so, or may yet.
	completes, fails bool
	// bare is true if results and finalizer are missing.
	bare bool
}

func historicOf(job *batchv1.Job) historic {
	h := historic{
		key: types.NamespacedName{Namespace: job.Namespace, Name: job.Name}, uid: job.UID,
		waits:     job.Status.StartTime == nil,
		completes: mayEnd(job, jobstatus.Completed), fails: mayEnd(job, jobstatus.Failed),
		bare: !Stored(job) && !policy.Protected(job),
	}
	if !h.waits {
		h.start = job.Status.StartTime.Unix()
	}
	return h
}

// order puts those that started last first, and those first that have not.
func (h *historic) order(other *historic) int {
	return cmp.Or(h.byStart(other), cmp.Compare(h.uid, other.uid))
}

func (h *historic) byStart(other *historic) int {
	switch {
	case h.waits && other.waits:
		return 0
	case h.waits:
		return -1
	case other.waits:
		return 1
	default:
		return cmp.Compare(other.start, h.start)
	}
}

// Len returns how many Jobs there are.
func (h *History) Len() int { return len(h.byUID) }

// Note takes note of a Job as it is now.
func (h *History) Note(job *batchv1.Job) {
	now := historicOf(job)
	before := h.byUID[now.uid]
	if before != nil && *before == now {
		return
	}
	h.Forget(now.uid)
	if h.byUID == nil {
		h.byUID = map[types.UID]*historic{}
	}
	h.byUID[now.uid] = &now
	if now.completes {
		h.completed = insert(h.completed, &now)
	}
	if now.fails {
		h.failed = insert(h.failed, &now)
	}
}

// Forget drops a Job that is gone.
func (h *History) Forget(job types.UID) {
	before := h.byUID[job]
	if before == nil {
		return
	}
	delete(h.byUID, job)
	h.completed, h.failed = remove(h.completed, before), remove(h.failed, before)
}

func insert(all []*historic, one *historic) []*historic {
	i, _ := slices.BinarySearchFunc(all, one, (*historic).order)
	return slices.Insert(all, i, one)
}

func remove(all []*historic, one *historic) []*historic {
	i, there := slices.BinarySearchFunc(all, one, (*historic).order)
	if !there {
		return all
	}
	return slices.Delete(all, i, i+1)
}

// Deletes reports whether the CronJob controller, which looks at its history before it
// looks at its Jobs, may delete job, of this CronJob, in the moment in which it
// finishes: of those that ended as it did, or as it may, it keeps as many as the limit
// says, those that started last. So it is deleted where as many of the Jobs that were
// noted started after it, and ended so or may do so before it.
func (h *History) Deletes(cronJob *batchv1.CronJob, job *batchv1.Job) bool {
	asked := historicOf(job)
	return asked.completes && h.later(h.completed, &asked, cronJob.Spec.SuccessfulJobsHistoryLimit) ||
		asked.fails && h.later(h.failed, &asked, cronJob.Spec.FailedJobsHistoryLimit)
}

// later reports whether at least limit of all but the Job itself may count as started
// after it: whether the one at that place is.
func (h *History) later(all []*historic, asked *historic, limit *int32) bool {
	if limit == nil || int(*limit) > len(all) {
		return false
	}
	last := int(*limit) - 1
	if known := h.byUID[asked.uid]; known != nil {
		if i, there := slices.BinarySearchFunc(all, known, (*historic).order); there && i <= last {
			last++
		}
	}
	return last < 0 || last < len(all) && all[last].byStart(asked) <= 0
}

// mayEnd reports whether the Job has ended so, or may yet.
func mayEnd(job *batchv1.Job, end jobstatus.Phase) bool {
	outcome := jobstatus.Of(job)
	return outcome.Phase == end || !outcome.Finished()
}

// Siblings returns the Jobs that a new Job may have made ones which history deletes
// too early, as far as they are unstored and without finalizer: the first ones beyond
// the limits, or, where the CronJob is not known (nil), the last ones. There are no
// more of them than a small number.
func (h *History) Siblings(cronJob *batchv1.CronJob, job *batchv1.Job) []types.NamespacedName {
	var completed, failed *int32
	if cronJob != nil {
		completed, failed = cronJob.Spec.SuccessfulJobsHistoryLimit, cronJob.Spec.FailedJobsHistoryLimit
		if completed == nil && failed == nil {
			return nil
		}
	}
	var keys []types.NamespacedName
	for _, one := range append(beyond(h.completed, completed), beyond(h.failed, failed)...) {
		if one.bare && one.uid != job.UID && !slices.Contains(keys, one.key) {
			keys = append(keys, one.key)
		}
	}
	return keys
}

// beyond returns the first of those at and behind the limit, and the ones that started
// as late as the first of them.
func beyond(all []*historic, limit *int32) []*historic {
	first := 0
	if limit != nil {
		first = int(*limit)
	}
	if first >= len(all) {
		return nil
	}
	// Those that started in the same second count as later than each other.
	at := all[first]
	first, _ = slices.BinarySearchFunc(all, at, (*historic).byStart)
	return slices.Clone(all[first:min(first+mostSiblings, len(all))])
}
