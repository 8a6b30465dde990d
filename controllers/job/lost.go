package job

import (
	"context"
	"fmt"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/trouble"
)

// vanished are Jobs that left the watch finished, and did not say that their
// results are stored, until it is known what became of them. The zero value is
// ready.
type vanished struct {
	mu   sync.Mutex
	jobs map[types.NamespacedName][]*batchv1.Job
}

func (v *vanished) put(key types.NamespacedName, jobs ...*batchv1.Job) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.jobs == nil {
		v.jobs = map[types.NamespacedName][]*batchv1.Job{}
	}
	v.jobs[key] = append(v.jobs[key], jobs...)
}

// take returns the Jobs that had this name, and forgets them.
func (v *vanished) take(key types.NamespacedName) []*batchv1.Job {
	v.mu.Lock()
	defer v.mu.Unlock()
	jobs := v.jobs[key]
	delete(v.jobs, key)
	return jobs
}

// vanish takes note of a Job that left the watch. What it was last is what the
// watch told of its end.
func (r *Reconciler) vanish(job *batchv1.Job) {
	r.backlog.gone(job.UID)
	if jobstatus.Of(job).Finished() && !plan.Stored(job) && !r.excluded(job.Namespace) {
		r.vanished.put(client.ObjectKeyFromObject(job), job)
	}
}

// countLost counts the Jobs of this name that left the watch, are gone, and have no
// results. The error says that this cannot be found out now.
func (r *Reconciler) countLost(ctx context.Context, key types.NamespacedName) error {
	jobs := r.vanished.take(key)
	for i, job := range jobs {
		lost, err := r.lost(ctx, job)
		if err != nil {
			r.vanished.put(key, jobs[i:]...)
			return err
		}
		if lost {
			r.Jobs.Lost()
			ctrl.LoggerFrom(ctx).Info("a finished job is gone and no results of it are there", "uid", job.UID)
		}
	}
	return nil
}

// lost reports whether the Job is gone without results. With a namespace that goes
// everything goes, which is what somebody asked for.
func (r *Reconciler) lost(ctx context.Context, job *batchv1.Job) (bool, error) {
	done, err := r.large.read(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	now := &batchv1.Job{}
	err = r.Live.Get(ctx, client.ObjectKeyFromObject(job), now)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("getting job %s/%s: %w", job.Namespace, job.Name, err)
	}
	if err == nil && now.UID == job.UID {
		return false, nil
	}
	namespace := policy.NewNamespace()
	err = r.Live.Get(ctx, client.ObjectKey{Name: job.Namespace}, namespace)
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("getting namespace %s: %w", job.Namespace, err)
	case namespace.DeletionTimestamp != nil:
		return false, nil
	}
	wanted, _ := policy.Resolve(job, namespace.Annotations, r.Options.Defaults)
	return r.noResults(ctx, job, wanted)
}

// noResults reports whether nothing holds the results of the Job. What may not be
// read could not be stored either.
func (r *Reconciler) noResults(ctx context.Context, job *batchv1.Job, wanted policy.Policy) (bool, error) {
	for _, name := range names.Candidates(wanted.ResultsName, job.UID) {
		object, err := r.get(ctx, wanted.ResultsKind, types.NamespacedName{Namespace: job.Namespace, Name: name})
		switch {
		case err == nil && verify(object, job, nil) == nil:
			return false, nil
		case err == nil, apierrors.IsNotFound(err), trouble.Of(err) == trouble.Refused:
		default:
			return false, err
		}
	}
	return true, nil
}
