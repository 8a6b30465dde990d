package holdings

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/retain"
)

// ShortReason returns the reason for which a log is short where results take more than
// this budget.
func ShortReason(budget retain.Budget) string {
	if budget == retain.ClusterBudget {
		return results.ReasonClusterBudget
	}
	return results.ReasonNamespaceBudget
}

// Exceeded says which budget the results in a namespace exceed.
func (h *Holdings) Exceeded(namespace string, budget retain.Budget) string {
	budgets := h.Budgets()
	if budget == retain.ClusterBudget {
		return fmt.Sprintf("The results in all namespaces take %s (--max-results-bytes) or more, and namespace %s takes its share or more",
			resource.NewQuantity(budgets.Cluster, resource.BinarySI), namespace)
	}
	return fmt.Sprintf("The results in namespace %s take %s (--max-results-bytes-per-namespace) or more",
		namespace, resource.NewQuantity(budgets.Namespace, resource.BinarySI))
}
