package job

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/lru"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/why"
)

const (
	// eventsExpire is for how long an API server keeps Events, unless it is told
	// otherwise (--event-ttl).
	eventsExpire = time.Hour
	// podsWithEvents is of how many pods of a Job Events are looked for: those that
	// failed or never started, the newest first.
	podsWithEvents = 200
	// explanationsKept is of how many Jobs Events are remembered until their results are
	// stored. Each may take some 50 KiB.
	explanationsKept = 128
)

// explanations are what Events say of Jobs, remembered so that a Job of which the
// results cannot be stored yet does not have its namespace listed again and again. The
// zero value is ready.
type explanations struct {
	once sync.Once
	jobs *lru.Cache
}

type explanation struct {
	events []why.Event
	note   string
}

func (e *explanations) init() { e.once.Do(func() { e.jobs = lru.New(explanationsKept) }) }

func (e *explanations) of(job types.UID) (explanation, bool) {
	e.init()
	found, is := e.jobs.Get(job)
	if !is {
		return explanation{}, false
	}
	one, is := found.(explanation)
	return one, is
}

func (e *explanations) remember(job types.UID, one explanation) {
	e.init()
	e.jobs.Add(job, one)
}

func (e *explanations) forget(job types.UID) {
	e.init()
	e.jobs.Remove(job)
}

// addEvents adds to the run the Warning Events of the Job and its pods, if the Job
// failed or a pod of it never started. Where they cannot be listed the results say so.
func (r *Reconciler) addEvents(ctx context.Context, run *results.Run) {
	uids := concerned(run)
	if r.Warnings == nil || uids.Len() == 0 {
		return
	}
	if known, is := r.explained.of(run.Job.UID); is {
		run.Events, run.EventsNote = known.events, known.note
		return
	}
	uids.Insert(run.Job.UID)
	found, err := r.Warnings.About(ctx, run.Job.Namespace, uids)
	switch {
	case err != nil:
		ctrl.LoggerFrom(ctx).Info("results are stored without Events", "cause", err.Error())
		run.EventsNote = "the Events could not be listed"
	default:
		run.Events = found
		if age := r.Clock.Now().Sub(run.Job.CreationTimestamp.Time); age > eventsExpire {
			run.EventsNote = fmt.Sprintf("Kubernetes keeps Events for an hour by default, and the Job is %s old", age.Truncate(time.Minute))
		}
		r.explained.remember(run.Job.UID, explanation{events: run.Events, note: run.EventsNote})
	}
}

// concerned returns the UIDs of pods of the run of which Events may tell something, and
// the Job's if it failed.
func concerned(run *results.Run) sets.Set[types.UID] {
	uids := sets.New[types.UID]()
	failed := run.Outcome.Phase == jobstatus.Failed
	if failed {
		uids.Insert(run.Job.UID)
	}
	pods := podsOf(run)
	slices.SortStableFunc(pods, func(a, b *corev1.Pod) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	for _, pod := range pods {
		if why.NeverStarted(pod) || failed && pod.Status.Phase != corev1.PodSucceeded {
			uids.Insert(pod.UID)
		}
		if uids.Len() > podsWithEvents {
			break
		}
	}
	return uids
}
