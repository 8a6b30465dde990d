package job

import (
	"context"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

const (
	// JobsByCronJob is the cache index of Jobs by the UID of the CronJob that
	// controls them.
	JobsByCronJob = "cronJobUID"

	// cronJobsKnown is how long a CronJob that was read is believed. It bounds how
	// often one is read for its running Jobs that nothing protects.
	cronJobsKnown = time.Minute
)

// historyDeletes reports whether the CronJob controller may delete the Job in the
// moment in which it finishes. Not to know is no reason to stop: it is asked for
// again.
func (r *Reconciler) historyDeletes(ctx context.Context, observed plan.Observation) bool {
	if !plan.MayNeedHistory(observed) {
		return false
	}
	cronJob, err := r.cronJobOf(ctx, observed.Job)
	var children []batchv1.Job
	if err == nil {
		children, err = r.childrenOf(ctx, cronJob)
	}
	if err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("history of the cronjob is not known", "cause", err.Error())
		return false
	}
	return plan.HistoryDeletes(cronJob, observed.Job, children)
}

// cronJobOf returns what tells about the history of the CronJob that made the Job,
// as it was a minute ago at most; one without limits if it is gone.
func (r *Reconciler) cronJobOf(ctx context.Context, job *batchv1.Job) (*batchv1.CronJob, error) {
	owner, _ := plan.CronJobOf(job)
	now := r.Clock.Now()
	if cronJob := r.cronJobs.get(owner.UID, now); cronJob != nil {
		return cronJob, nil
	}
	cronJob := &batchv1.CronJob{}
	key := types.NamespacedName{Namespace: job.Namespace, Name: owner.Name}
	if err := r.Live.Get(ctx, key, cronJob); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("getting cronjob %s: %w", key, err)
	}
	if cronJob.UID != owner.UID {
		cronJob = &batchv1.CronJob{}
	}
	cronJob.Namespace, cronJob.UID = job.Namespace, owner.UID
	return r.cronJobs.add(cronJob, now), nil
}

// childrenOf returns the opted-in Jobs of a CronJob.
func (r *Reconciler) childrenOf(ctx context.Context, cronJob *batchv1.CronJob) ([]batchv1.Job, error) {
	var jobs batchv1.JobList
	err := r.Client.List(ctx, &jobs, client.InNamespace(cronJob.Namespace), client.MatchingFields{JobsByCronJob: string(cronJob.UID)})
	if err != nil {
		return nil, fmt.Errorf("listing cached jobs of cronjob %s: %w", cronJob.UID, err)
	}
	return jobs.Items, nil
}

// firstSeen sees Jobs that are new: those which their CronJob made before may need
// protection from then on.
var firstSeen = predicate.Funcs{
	UpdateFunc: func(event.UpdateEvent) bool { return false },
	DeleteFunc: func(event.DeleteEvent) bool { return false },
}

// siblings returns the other Jobs of the CronJob that made a Job, as far as their
// results are not stored.
func (r *Reconciler) siblings(ctx context.Context, object client.Object) []ctrl.Request {
	job, isJob := object.(*batchv1.Job)
	if !isJob {
		return nil
	}
	owner, child := plan.CronJobOf(job)
	if !child {
		return nil
	}
	cronJob := &batchv1.CronJob{}
	cronJob.Namespace, cronJob.UID = job.Namespace, owner.UID
	children, err := r.childrenOf(ctx, cronJob)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "jobs are not looked at before their time", "cronJob", owner.Name)
		return nil
	}
	var requests []ctrl.Request
	for i := range children {
		if other := &children[i]; other.UID != job.UID && !plan.Stored(other) && !policy.Protected(other) {
			requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(other)})
		}
	}
	return requests
}

// cronJobs remembers CronJobs for a short while, by the UID that their Jobs name,
// and of them what tells about their history. The zero value is ready.
type cronJobs struct {
	mu    sync.Mutex
	known map[types.UID]knownCronJob
}

type knownCronJob struct {
	cronJob *batchv1.CronJob
	until   time.Time
}

// get returns what is known, nil if that is nothing.
func (c *cronJobs) get(uid types.UID, now time.Time) *batchv1.CronJob {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, is := c.known[uid]; is && now.Before(known.until) {
		return known.cronJob
	}
	return nil
}

// add remembers a CronJob, forgets those that are not to be believed any more, and
// returns what it remembers.
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
