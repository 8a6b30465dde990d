package job

import (
	"context"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/job-handler/job-handler/internal/plan"
)

const (
	// cronJobsKnown is how long a CronJob that was read is used. It bounds how often a
	// CronJob is read for its unprotected running Jobs.
	cronJobsKnown = time.Minute
)

// historyDeletes reports whether the CronJob controller may delete the Job as soon as it
// finishes. If the CronJob cannot be read, the pass goes on, and the next one asks again.
func (c *cronJobs) historyDeletes(ctx context.Context, live client.Reader, observed plan.Observation, now time.Time) bool {
	if !plan.MayNeedHistory(observed) {
		return false
	}
	cronJob, err := c.of(ctx, live, observed.Job, now)
	if err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("history of the cronjob is not known", "cause", err.Error())
		return false
	}
	return c.histories.deletes(cronJob, observed.Job)
}

// of returns the history limits of the CronJob that made the Job, at most a minute old;
// without limits if the CronJob is gone.
func (c *cronJobs) of(ctx context.Context, live client.Reader, job *batchv1.Job, now time.Time) (*batchv1.CronJob, error) {
	owner, _ := plan.CronJobOf(job)
	if cronJob := c.get(owner.UID, now); cronJob != nil {
		return cronJob, nil
	}
	cronJob := &batchv1.CronJob{}
	key := types.NamespacedName{Namespace: job.Namespace, Name: owner.Name}
	if err := live.Get(ctx, key, cronJob); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("getting cronjob %s: %w", key, err)
	}
	if cronJob.UID != owner.UID {
		cronJob = &batchv1.CronJob{}
	}
	cronJob.Namespace, cronJob.UID = job.Namespace, owner.UID
	return c.add(cronJob, now), nil
}

// firstSeen handles new Jobs: older Jobs of the same CronJob may need protection from
// then on. It keeps the histories of CronJobs up to date.
func (c *cronJobs) firstSeen() predicate.Predicate {
	note := func(object client.Object) {
		if job, isJob := object.(*batchv1.Job); isJob {
			c.histories.note(job)
		}
	}
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { note(e.Object); return true },
		UpdateFunc: func(e event.UpdateEvent) bool { note(e.ObjectNew); return false },
		DeleteFunc: func(e event.DeleteEvent) bool { c.histories.forget(e.Object.GetUID()); return false },
	}
}

// siblings returns a function that finds the Jobs that may need protection because their
// CronJob made a new Job.
func (c *cronJobs) siblings(clk clock.PassiveClock) handler.MapFunc {
	return func(_ context.Context, object client.Object) []ctrl.Request {
		job, isJob := object.(*batchv1.Job)
		if !isJob {
			return nil
		}
		owner, child := plan.CronJobOf(job)
		if !child {
			return nil
		}
		var requests []ctrl.Request
		for _, key := range c.histories.siblings(c.get(owner.UID, clk.Now()), job) {
			requests = append(requests, ctrl.Request{NamespacedName: key})
		}
		return requests
	}
}

// histories are the Jobs of each CronJob, as the watch reports them. The zero value is
// ready.
type histories struct {
	mu sync.Mutex
	// byCronJob has no empty histories; cronJobs maps a Job to its CronJob.
	byCronJob map[types.UID]*plan.History
	cronJobs  map[types.UID]types.UID
}

func (h *histories) note(job *batchv1.Job) {
	owner, child := plan.CronJobOf(job)
	h.mu.Lock()
	defer h.mu.Unlock()
	if before, known := h.cronJobs[job.UID]; known && (!child || before != owner.UID) {
		h.drop(job.UID)
	}
	if !child {
		return
	}
	if h.byCronJob == nil {
		h.byCronJob, h.cronJobs = map[types.UID]*plan.History{}, map[types.UID]types.UID{}
	}
	if h.byCronJob[owner.UID] == nil {
		h.byCronJob[owner.UID] = &plan.History{}
	}
	h.byCronJob[owner.UID].Note(job)
	h.cronJobs[job.UID] = owner.UID
}

func (h *histories) forget(job types.UID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(job)
}

func (h *histories) drop(job types.UID) {
	cronJob, known := h.cronJobs[job]
	if !known {
		return
	}
	delete(h.cronJobs, job)
	if h.byCronJob[cronJob].Forget(job); h.byCronJob[cronJob].Len() == 0 {
		delete(h.byCronJob, cronJob)
	}
}

// deletes reports whether the history of the CronJob may delete the Job too early.
func (h *histories) deletes(cronJob *batchv1.CronJob, job *batchv1.Job) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	history := h.byCronJob[cronJob.UID]
	if history == nil {
		history = &plan.History{}
	}
	return history.Deletes(cronJob, job)
}

// siblings returns the Jobs that may need protection because of a new one. cronJob may be
// nil if it is not known.
func (h *histories) siblings(cronJob *batchv1.CronJob, job *batchv1.Job) []types.NamespacedName {
	h.mu.Lock()
	defer h.mu.Unlock()
	history := h.byCronJob[h.cronJobs[job.UID]]
	if history == nil {
		return nil
	}
	return history.Siblings(cronJob, job)
}

// cronJobs caches the history limits of CronJobs for a short while, by the UID that their
// Jobs name. The zero value is ready.
type cronJobs struct {
	// histories are kept up to date by firstSeen.
	histories histories

	mu    sync.Mutex
	known map[types.UID]knownCronJob
}

type knownCronJob struct {
	cronJob *batchv1.CronJob
	until   time.Time
}

// get returns the cached CronJob, nil if there is none.
func (c *cronJobs) get(uid types.UID, now time.Time) *batchv1.CronJob {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, is := c.known[uid]; is && now.Before(known.until) {
		return known.cronJob
	}
	return nil
}

// add caches a CronJob, drops entries that are too old, and returns the entry.
func (c *cronJobs) add(cronJob *batchv1.CronJob, now time.Time) *batchv1.CronJob {
	kept := &batchv1.CronJob{}
	kept.Namespace, kept.UID = cronJob.Namespace, cronJob.UID
	kept.Spec.SuccessfulJobsHistoryLimit = cronJob.Spec.SuccessfulJobsHistoryLimit
	kept.Spec.FailedJobsHistoryLimit = cronJob.Spec.FailedJobsHistoryLimit
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[types.UID]knownCronJob{}
	}
	for other, known := range c.known {
		if !now.Before(known.until) {
			delete(c.known, other)
		}
	}
	c.known[kept.UID] = knownCronJob{cronJob: kept, until: now.Add(cronJobsKnown)}
	return kept
}

// +kubebuilder:rbac:groups=batch,resources=cronjobs,verbs=get

// tookNote reports whether the CronJob that made the Job has noticed its end.
func tookNote(ctx context.Context, live client.Reader, job *batchv1.Job) (bool, error) {
	owner, owned := plan.CronJobOf(job)
	if !owned {
		return true, nil
	}
	cronJob := &batchv1.CronJob{}
	key := types.NamespacedName{Namespace: job.Namespace, Name: owner.Name}
	if err := live.Get(ctx, key, cronJob); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("getting cronjob %s: %w", key, err)
	}
	return plan.TookNote(cronJob, job), nil
}
