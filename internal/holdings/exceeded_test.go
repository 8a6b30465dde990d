package holdings

import (
	"strings"
	"testing"

	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/retain"
)

// What is said of a budget names the flag that sets it.
func TestExceeded(t *testing.T) {
	h := &Holdings{options: Options{Budgets: retain.Budgets{Namespace: 1 << 20, Cluster: 8 << 20}}}
	for budget, want := range map[retain.Budget][]string{
		retain.NamespaceBudget: {results.ReasonNamespaceBudget, "--max-results-bytes-per-namespace", "1Mi", "team"},
		retain.ClusterBudget:   {results.ReasonClusterBudget, "--max-results-bytes)", "8Mi", "team"},
	} {
		said := ShortReason(budget) + " " + h.Exceeded("team", budget)
		for _, words := range want {
			if !strings.Contains(said, words) {
				t.Errorf("%s: %q lacks %q", budget, said, words)
			}
		}
	}
}
