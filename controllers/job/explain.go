package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/why"
)

const (
	// eventsExpire is how long an API server keeps Events by default (--event-ttl).
	eventsExpire = time.Hour
	// podsWithEvents bounds the pods of a Job whose Events are read: those that failed or
	// never started, the newest first.
	podsWithEvents = 200
	// explanationsKept bounds the Jobs whose Events are remembered until their results
	// are stored. Each may take some 50 KiB.
	explanationsKept = 128
	// eventsRecheck is when a Job is reconciled again that waits for Events.
	eventsRecheck = time.Second
)

// explanations remember the Events of Jobs, so that a Job whose results cannot be stored
// yet does not cause repeated lists. The zero value is ready.
type explanations struct {
	once sync.Once
	jobs *lru.Cache
}

type explanation struct {
	// asked are the objects whose Events were looked for.
	asked  sets.Set[types.UID]
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

// explainer reads the Events of Jobs.
type explainer struct {
	*explanations
	// warnings reads Events; nil means that results have none.
	warnings *events.Warnings
	clock    clock.PassiveClock
}

func (r *Reconciler) explainer() explainer {
	return explainer{explanations: &r.explained, warnings: r.Warnings, clock: r.Clock}
}

// read reads the Warning Events of a failed Job and its pods, before its logs are read.
// It returns when to look again if another list is in progress, 0 if it is done. If
// Events cannot be listed, the results say so.
func (e explainer) read(ctx context.Context, job *batchv1.Job, pods []*corev1.Pod) time.Duration {
	uids := concerned(job, pods)
	if _, known := e.of(job.UID); known || e.warnings == nil || uids.Len() == 0 {
		return 0
	}
	found, err := e.warnings.TryAbout(ctx, job.Namespace, uids)
	if errors.Is(err, events.ErrBusy) {
		return eventsRecheck
	}
	e.note(ctx, job, uids, found, err)
	return 0
}

// note remembers the Events that were found for the objects, and why some may be missing.
func (e explainer) note(ctx context.Context, job *batchv1.Job, uids sets.Set[types.UID], found []why.Event, err error) explanation {
	one := explanation{asked: uids, events: found}
	age := e.clock.Now().Sub(job.CreationTimestamp.Time)
	switch {
	case err != nil:
		ctrl.LoggerFrom(ctx).Info("results will have no Events", "cause", err.Error())
		one.note = "the Events could not be listed"
	case age > eventsExpire:
		one.note = fmt.Sprintf("Kubernetes keeps Events for an hour by default, and the Job is %s old", age.Truncate(time.Minute))
	}
	e.remember(job.UID, one)
	return one
}

// addTo adds the Events to the run. It reads again if they were forgotten, or if captures
// had more pods.
func (e explainer) addTo(ctx context.Context, run *results.Run) {
	uids := concerned(run.Job, run.Objects())
	if e.warnings == nil || uids.Len() == 0 {
		return
	}
	known, is := e.of(run.Job.UID)
	if !is || !known.asked.IsSuperset(uids) {
		found, err := e.warnings.About(ctx, run.Job.Namespace, uids)
		known = e.note(ctx, run.Job, uids, found, err)
	}
	run.Events, run.EventsNote = known.events, known.note
}

// concerned returns the UIDs of the Job and its pods whose Events may explain a failure.
// A Job that completed has none, unless one of its pods never started.
func concerned(job *batchv1.Job, pods []*corev1.Pod) sets.Set[types.UID] {
	uids := sets.New[types.UID]()
	failed := jobstatus.Of(job).Phase == jobstatus.Failed
	newest := slices.Clone(pods)
	slices.SortStableFunc(newest, func(a, b *corev1.Pod) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	for _, pod := range newest {
		if uids.Len() < podsWithEvents && (why.NeverStarted(pod) || failed && pod.Status.Phase != corev1.PodSucceeded) {
			uids.Insert(pod.UID)
		}
	}
	if failed || uids.Len() > 0 {
		uids.Insert(job.UID)
	}
	return uids
}
