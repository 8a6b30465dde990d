package podlogs

import (
	"context"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/ledger"
	"github.com/job-handler/job-handler/internal/lookup"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

// jobs finds the Jobs whose pods are captured, and what their users want.
type jobs struct {
	// cached reads Jobs and Namespaces from the cache.
	cached  client.Reader
	ledger  *ledger.Ledger
	options *Options
}

func (k *Keeper) jobs() jobs { return jobs{cached: k.Client, ledger: k.Ledger, options: &k.Options} }

// of returns the Job of the pod. It returns nil for a Job that is not opted in, that is
// stored, or that was deleted before it finished.
func (j jobs) of(ctx context.Context, pod *corev1.Pod) *batchv1.Job {
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil || owner.Kind != "Job" || slices.Contains(j.options.ExcludedNamespaces, pod.Namespace) {
		return nil
	}
	job := &batchv1.Job{}
	err := j.cached.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: owner.Name}, job)
	if err != nil || job.UID != owner.UID {
		return nil
	}
	finished := jobstatus.Of(job).Finished()
	switch {
	case !finished && job.DeletionTimestamp != nil, finished && plan.Stored(job) && !j.ledger.Unstored(job):
		return nil
	default:
		return job
	}
}

// policy returns what the user wants for the Job.
func (j jobs) policy(ctx context.Context, job *batchv1.Job) (policy.Policy, error) {
	namespace, err := lookup.Namespace(ctx, j.cached, job.Namespace)
	if err != nil {
		return policy.Policy{}, err
	}
	wanted, _ := policy.Resolve(job, namespace.Annotations, j.options.Defaults)
	return wanted, nil
}
