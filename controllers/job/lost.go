package job

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/lookup"
	"github.com/job-handler/job-handler/internal/policy"
)

// lostRetry is when the fate of deleted Jobs is looked up again after that failed.
const lostRetry = 5 * time.Second

// countLost counts the Jobs of this name that left the watch, are gone, and have no
// results. If that cannot be looked up now, it returns when to try again: a counter
// must not hold up the Job that has the name now.
func (r *Reconciler) countLost(ctx context.Context, key types.NamespacedName) (again time.Duration) {
	jobs := r.Ledger.Vanished(key)
	for i, job := range jobs {
		lost, err := r.lost(ctx, job)
		if err != nil {
			ctrl.LoggerFrom(ctx).V(1).Info("the fate of a deleted job is not known yet", "uid", job.UID, "cause", err.Error())
			r.Ledger.PutBack(key, jobs[i:]...)
			return lostRetry
		}
		if lost {
			r.Jobs.Lost()
			ctrl.LoggerFrom(ctx).Info("a finished job was deleted and has no results", "uid", job.UID)
		}
	}
	return 0
}

// lost reports whether the Job is gone without results. A Job that is deleted with its
// namespace is not lost: its user asked for that.
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
	namespace, err := lookup.Namespace(ctx, r.Live, job.Namespace)
	if err != nil || lookup.Ends(namespace) {
		return false, err
	}
	wanted, _ := policy.Resolve(job, namespace.Annotations, r.Options.Defaults)
	return r.Store.Lost(ctx, job, wanted.ResultsKind, wanted.ResultsName)
}
