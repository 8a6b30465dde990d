package job

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/capture"
)

// restore returns what was stored of captures of the Job; nil if there is nothing,
// or was nothing to be asked for. Objects that are somebody else's, or not whole,
// are passed over, with a Warning.
func (r *Reconciler) restore(ctx context.Context, job *batchv1.Job, kind string, pods int) (*capture.Restored, error) {
	if !r.mayHaveSpilled(job, pods) {
		return nil, nil //nolint:nilnil // of most Jobs nothing was stored
	}
	restored := r.Captures.Restore(job.UID)
	for kind, known := range r.spills.kinds(job.UID, kind) {
		if err := r.restoreKind(ctx, job, kind, known, restored); err != nil {
			restored.Release()
			return nil, err
		}
	}
	return restored, nil
}

// mayHaveSpilled reports whether captures of the Job, of which so many pods are
// known, may be stored and nowhere else: in this process they are given up for
// others, an earlier one may have left them, and where pods are missing anything
// may be. Of a Job that was seen from its start, and lost no pod, they are not.
func (r *Reconciler) mayHaveSpilled(job *batchv1.Job, pods int) bool {
	return r.Captures != nil && (r.Captures.OnlyStored(job.UID) ||
		!r.spills.sawStart(job.CreationTimestamp.Time) || pods < countedPods(job))
}

// restoreKind adds what objects of a kind have, of which at least known are there.
// They are numbered without a gap, so that the first that is not there ends them,
// and nobody needs to list.
func (r *Reconciler) restoreKind(ctx context.Context, job *batchv1.Job, kind string, known int, to *capture.Restored) error {
	for number := range maxSpills {
		key := spillKey(job, number)
		object := emptyResults(kind)
		err := r.Live.Get(ctx, key, object)
		if apierrors.IsNotFound(err) {
			if number < known {
				continue
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("getting captured logs %s: %w", key, r.explain(kind, key.Namespace, err))
		}
		values, err := spillValues(object, job)
		if err == nil {
			err = to.Add(values)
		}
		if err != nil {
			r.warnSpill(ctx, job, kind, key, err)
		}
	}
	return nil
}

func (r *Reconciler) warnSpill(ctx context.Context, job *batchv1.Job, kind string, key types.NamespacedName, err error) {
	r.warn(ctx, job, "capture/"+key.Name, fmt.Sprintf("%s %s is not taken for logs of deleted pods of this Job: %v", kind, key.Name, err))
}
