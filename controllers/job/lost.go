package job

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/policy"
)

// countLost counts the Jobs of this name that left the watch, are gone, and have no
// results. The error says that this cannot be found out now.
func (r *Reconciler) countLost(ctx context.Context, key types.NamespacedName) error {
	jobs := r.Ledger.Vanished(key)
	for i, job := range jobs {
		lost, err := r.lost(ctx, job)
		if err != nil {
			r.Ledger.PutBack(key, jobs[i:]...)
			return err
		}
		if lost {
			r.Jobs.Lost()
			ctrl.LoggerFrom(ctx).Info("a finished job was deleted and has no results", "uid", job.UID)
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
	return r.Store.Lost(ctx, job, wanted.ResultsKind, wanted.ResultsName)
}
