package job

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/retain"
)

// shrunkLogBytes is what is kept of the logs of a run above a budget: enough for
// the last words of a few containers.
const shrunkLogBytes = 16 << 10

// bound limits the logs of a run where results take more than they may. The Warning
// about it is sent once an hour for a namespace; that the logs of this run are short
// is told with its outcome.
func (r *Reconciler) bound(ctx context.Context, run *results.Run) {
	budget := r.Holdings.Over(run.Job.Namespace)
	if budget == retain.WithinBudget {
		return
	}
	run.MaxLogBytes, run.MaxLogReason = shrunkLogBytes, budgetReason(budget)
	if r.Holdings.Shrunk(run.Job.Namespace, budget) {
		r.warn(ctx, run.Job, "budget", fmt.Sprintf("%s: 16Ki is kept of the logs of new results until some are deleted; "+
			"annotation %s makes results expire", r.exceeded(run.Job.Namespace, budget), api.ResultsTTLAnnotation))
	}
}

// budgetReason returns the reason for which a log is short then.
func budgetReason(budget retain.Budget) string {
	if budget == retain.ClusterBudget {
		return results.ReasonClusterBudget
	}
	return results.ReasonNamespaceBudget
}

// exceeded says which budget is used up.
func (r *Reconciler) exceeded(namespace string, budget retain.Budget) string {
	budgets := r.Holdings.Budgets()
	if budget == retain.ClusterBudget {
		return fmt.Sprintf("The results in all namespaces take %s (--max-results-bytes) or more, and those in namespace %s their share of it",
			resource.NewQuantity(budgets.Cluster, resource.BinarySI), namespace)
	}
	return fmt.Sprintf("The results in namespace %s take %s (--max-results-bytes-per-namespace) or more",
		namespace, resource.NewQuantity(budgets.Namespace, resource.BinarySI))
}
