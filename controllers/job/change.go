package job

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/jobpatch"
)

// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=patch

// change patches job to desired if job is still the state that the server has. It returns
// the new state.
func (r *Reconciler) change(ctx context.Context, job, desired *batchv1.Job) (*batchv1.Job, error) {
	patched := desired.DeepCopy()
	written, err := r.large.write(ctx, job)
	if err != nil {
		return nil, fmt.Errorf("patching job %s/%s: %w", job.Namespace, job.Name, err)
	}
	err = r.Client.Patch(ctx, patched, jobpatch.From(job))
	written()
	if apierrors.IsInvalid(err) {
		return nil, explainInvalid(ctx, r.Live, job, err)
	}
	if err != nil {
		return nil, fmt.Errorf("patching job %s/%s: %w", job.Namespace, job.Name, err)
	}
	pruneJob(patched, r.Options.Defaults)
	return patched, nil
}

// explainInvalid distinguishes a change that came too late, since the Job has changed,
// from one that is never accepted, for example because of a policy of the cluster.
func explainInvalid(ctx context.Context, live client.Reader, job *batchv1.Job, refusal error) error {
	now := &batchv1.Job{}
	err := live.Get(ctx, client.ObjectKeyFromObject(job), now)
	if err == nil && now.UID == job.UID && now.ResourceVersion == job.ResourceVersion {
		return fmt.Errorf("patching job %s/%s: %w", job.Namespace, job.Name, refusal)
	}
	return &staleError{err: refusal}
}
