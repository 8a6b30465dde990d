package job

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/job-handler/job-handler/internal/api"
)

// shrunkLogBytes is what is kept of the logs of a run whose namespace is above its
// budget: enough for the last words of a few containers.
const shrunkLogBytes = 16 << 10

// logBudget returns what the logs of a Job's results may take where its namespace
// is above its budget, 0 where it is not. It tells of it once an hour for a
// namespace; that this run's logs are short is told with its outcome.
func (r *Reconciler) logBudget(ctx context.Context, job *batchv1.Job) int {
	if !r.Holdings.Over(job.Namespace) {
		return 0
	}
	if r.Holdings.Shrunk(job.Namespace) {
		budget := resource.NewQuantity(r.Holdings.NamespaceBytes(), resource.BinarySI)
		r.warn(ctx, job, "budget", fmt.Sprintf(
			"The results in namespace %s take %s (--max-results-bytes-per-namespace) or more: of the logs of new ones 16Ki is kept "+
				"until some are deleted; annotation %s has results go by themselves", job.Namespace, budget, api.ResultsTTLAnnotation))
	}
	return shrunkLogBytes
}
